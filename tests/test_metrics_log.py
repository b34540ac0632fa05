import json

from caejax.files.atomic import read_rows, write_atomically
from caejax.metrics.table import METRICS
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


def test_tensorboard_gets_every_value_and_its_title(tmp_path):
    write(tmp_path, None, [row(4) | {"dc_ripple_db_s2": -30.0}])
    (events,) = (tmp_path / "tensorboard").iterdir()
    written = events.read_bytes()
    for text in ("val/loss", "val/dc_ripple_db_s2", "DC ripple, period 2 (dBFS), val"):
        assert text.encode() in written
    assert METRICS["dc_ripple_db"].text.encode() in written


def test_write_atomically_leaves_nothing_beside_the_file(tmp_path):
    write_atomically(tmp_path / "a.txt", "one")
    write_atomically(tmp_path / "a.txt", "two")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "two"
