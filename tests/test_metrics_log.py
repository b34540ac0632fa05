import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.board import values_of
from PIL import Image
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from caejax.files.atomic import read_rows, write_atomically
from caejax.metrics.table import METRICS
from caejax.training import board
from caejax.training.metrics_log import MetricsWriter


def row(step, split="val"):
    return {"step": step, "epoch": step / 4, "split": split, "loss": 0.5}


def write(folder, step, rows):
    with MetricsWriter(folder, step) as writer:
        for r in rows:
            writer.write(r)
    return read_rows(folder / "metrics.jsonl")


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    rows = [row(0), row(4, "train"), row(4), row(8), row(8, "test")]
    assert write(tmp_path, None, rows) == rows
    assert write(tmp_path, 4, []) == rows  # nothing is changed before there is more
    assert write(tmp_path, 4, [row(8)]) == [*rows[:3], row(8)]


def test_a_fresh_start_drops_everything(tmp_path):
    write(tmp_path, None, [row(0), row(4)])
    assert write(tmp_path, None, [row(0)]) == [row(0)]


def test_the_test_row_comes_again(tmp_path):
    write(tmp_path, None, [row(8), row(8, "test")])
    again = row(8, "test") | {"loss": 0.25}
    assert write(tmp_path, 8, [again]) == [row(8), again]


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(row(0)) + "\n" + json.dumps(row(4))[:-5])
    assert read_rows(path) == [row(0)]
    assert write(tmp_path, 0, [row(4)]) == [row(0), row(4)]


def test_tensorboard_has_few_curves_of_names_that_people_read(tmp_path):
    values = {
        "psnr": 9.0,
        "mse": 0.1,
        "dc_ripple_db_s2": -30.0,
        "lattice_power_s8": 1.0,
    }
    train = row(4, "train") | {"psnr": 8.0, "grad_norm": 1.5, "update_norm": 0.1}
    write(tmp_path, None, [train, row(4) | values])
    tags = values_of(tmp_path)
    assert set(tags) == {
        "training/grad_norm",
        "loss/val",
        "PSNR_dB/val",
        "DC_ripple_period_2_dBFS/val",
    }
    ((step, value),) = tags["DC_ripple_period_2_dBFS/val"]
    assert (step, value.simple_value) == (4, -30)
    assert value.metadata.display_name == "DC ripple, period 2 (dBFS), val"
    assert value.metadata.summary_description == METRICS["dc_ripple_db"].text


def test_tensorboard_has_the_config_its_settings_and_their_end(tmp_path):
    config = {"seed": 3, "model": {"widths": [8, 16], "residual": False}}
    config["data"] = {"source": "glyphs", "limit": 9}  # which may be swept, too
    config["optimizer"] = {"name": "adam", "learning_rate": 0.5}
    config["executor"] = {"name": "serial"}
    with MetricsWriter(tmp_path, None, config) as writer:
        writer.write(row(0))
        writer.write(row(8, "test") | {"psnr": 20.0})
    tags = values_of(tmp_path)
    ((_, text),) = tags["config/text_summary"]
    shown = text.tensor.string_val[0].decode()
    assert json.loads(shown) == config
    assert all(line.startswith("    ") for line in shown.splitlines())  # code

    def plugin(tag):
        return HParamsPluginData.FromString(
            tags[tag][0][1].metadata.plugin_data.content
        )

    start = plugin("_hparams_/session_start_info").session_start_info
    assert {k: v.WhichOneof("kind") for k, v in start.hparams.items()} == {
        "seed": "number_value",
        "model.widths": "string_value",
        "model.residual": "bool_value",
        "data.source": "string_value",
        "data.limit": "number_value",
        "optimizer.name": "string_value",
        "optimizer.learning_rate": "number_value",
    }
    named = plugin("_hparams_/experiment").experiment.metric_infos
    assert "PSNR_dB/test" in {info.name.tag for info in named} & set(tags)
    assert plugin("_hparams_/session_end_info").HasField("session_end_info")


def test_tensorboard_has_all_files_of_a_second(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "time", SimpleNamespace(time=lambda: 1e9))
    for start, steps in ((None, (1, 2, 3)), (2, (3, 4)), (4, (5,))):
        with MetricsWriter(tmp_path, start) as writer:
            for step in steps:
                writer.curve(step, step, 10.0)
    assert [step for step, _ in values_of(tmp_path)["loss/train"]] == [1, 2, 3, 4, 5]
    with MetricsWriter(tmp_path, None) as writer:  # begins anew
        writer.curve(1, 0.5, 10.0)
    assert [step for step, _ in values_of(tmp_path)["loss/train"]] == [1]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_tensorboard_has_pictures(tmp_path, channels):
    images = np.zeros((3, 8, 10, channels), np.float32)
    images[1, ..., -1] = 1
    power = np.full((4, 6), 1e-9)
    power[0, 0], power[2, 3] = 1, 0.1
    with MetricsWriter(tmp_path, None) as writer:
        writer.write(row(0))
        writer.pictures(7, {"target": images, "residual_spectrum": power})
    tags = values_of(tmp_path)

    def opened(name):
        ((step, value),) = tags[f"pictures/{name}"]
        assert step == 7
        file = Image.open(io.BytesIO(value.image.encoded_image_string))
        rows = {"target": 16 if channels == 2 else 8, "residual_spectrum": 4}[name]
        times = value.image.height // rows
        return np.asarray(file)[::times, ::times]

    target = opened("target")
    assert target.shape[:2] == (16 if channels == 2 else 8, 32)
    first = target[:8] if channels != 2 else target[8:]
    first = first[..., 2] if channels == 3 else first
    np.testing.assert_array_equal(first[0], [0] * 10 + [255] * 12 + [0] * 10)
    spectrum = opened("residual_spectrum")
    assert spectrum[2, 3] == 255  # the mean, in the middle
    assert spectrum[0, 0] == round(255 * 4 / 5)  # a decade of five below
    assert spectrum.min() == 0


def test_the_training_s_curve_is_finer_than_an_epoch(tmp_path):
    with MetricsWriter(tmp_path, None) as writer:
        writer.write(row(0))
        for step in (1, 2, 3):
            writer.curve(step, 1 / step, 10.0 * step)
    tags = values_of(tmp_path)
    assert [step for step, _ in tags["loss/train"]] == [1, 2, 3]
    assert [value.simple_value for _, value in tags["PSNR_dB/train"]] == [10, 20, 30]


def test_write_atomically_leaves_nothing_beside_the_file(tmp_path):
    write_atomically(tmp_path / "a.txt", "one")
    write_atomically(tmp_path / "a.txt", "two")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "two"
