"""Runs of caejax, diagnosed and mended."""

from pathlib import Path

import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config

import caejax
from caejax.diagnose import diagnose
from caejax.diagnose.runs import input_shape
from caejax.errors import CaejaxError
from caejax.export import export
from caejax.files.finished import read_summary
from caejax.fix import cost, fix_file, runs
from caejax.inference import trained
from caejax.models.diagnosis import clean_by_construction
from caejax.models.kinds import UPSAMPLING
from caejax.training.loop import train

# One of each form that upsampling is computed in, and whether it starts clean.
KINDS = {
    "deconv_k3": False,
    "bilinear_k3": True,
    "shuffle_k3": False,
    "shuffle_hold": True,
    "carafe": True,
    "dysample": True,
}


def wide_config(upsampling):
    """Wide enough for each form that a CPU takes of upsampling layers."""
    config = tiny_config()
    config.model.widths = (32, 64)
    config.model.upsampling = upsampling
    config.model.output_activation = "linear"
    config.loss = "mse"
    return config


@pytest.mark.parametrize(("kind", "clean"), KINDS.items())
def test_every_kind_is_seen_for_what_it_is(kind, clean, tmp_path):
    save_checkpoints(tmp_path, wide_config(kind), seeds=[0])
    found = diagnose(tmp_path)
    assert found.clean == clean
    assert found["ripple_db"] is not None
    model = caejax.load(tmp_path)
    assert caejax.diagnose(model)["ripple_db"] == found["ripple_db"]
    with pytest.raises(CaejaxError, match="give the model itself"):
        caejax.diagnose(model.denoise, np.zeros((1, 16, 16, 1)))
    if clean:
        assert found["ripple_db"] < -100
    drawn = [place for place in found["places"] if place["period"]]
    # Offsets of samples, and what else is no image, is no place.
    assert all(place["dimensions"] == 2 for place in found["places"])
    # Named by the model's parts, without the model itself.
    assert {place["name"].split("/")[0] for place in drawn} == {"decoder"}
    strides = [place["stride"] for place in drawn]
    strides = np.prod(strides, axis=0)
    np.testing.assert_array_equal(strides, [4, 4])


def test_weights_are_taken_by_file_and_by_the_name_that_ships(tmp_path):
    save_checkpoints(tmp_path / "run", wide_config("deconv_k3"), seeds=[0])
    file = tmp_path / "w.safetensors"
    export(trained.load(tmp_path / "run"), "safetensors", file)
    assert diagnose(file)["ripple_db"] == diagnose(tmp_path / "run")["ripple_db"]
    assert input_shape(Path("denoiser_gray")) == (1, None, None)
    with pytest.raises(CaejaxError, match=r"'no\.safetensors' is no model"):
        diagnose("no.safetensors")


def test_a_run_is_mended_and_trained_further(tmp_path):
    config = wide_config("deconv_k4")
    config.model.widths = (20,)
    config.train.epochs, config.train.probe_steps = 1, ()
    before = train(config, tmp_path / "run", verbose=False)
    record = fix_file(tmp_path / "run", tmp_path / "mended", finetune=1)
    assert record["ripple_before_db"] > -60
    assert record["ripple_after_db"] < -100
    assert record["clean"]
    assert len(record["changes"]) == 1
    quality = record["quality"]
    assert quality["finetuned_ripple_db"] < -100
    assert quality["before_psnr_db"] == before["test/psnr"]
    tuned = read_summary(tmp_path / "mended-tuned")
    assert tuned["test/psnr"] == quality["finetuned_psnr_db"]
    # Of what it draws on flat codes nothing is left, by the study's own measure.
    assert before["test/dc_ripple_db_s2"] > -60
    assert tuned["test/dc_ripple_db_s2"] < -100


def test_a_kind_without_a_tied_form_is_refused_before_anything_is_written(tmp_path):
    save_checkpoints(tmp_path / "run", wide_config("deconv_k3"), seeds=[0])
    with pytest.raises(CaejaxError, match="upsampling=nearest_k3") as refused:
        fix_file(tmp_path / "run", tmp_path / "mended", finetune=1)
    assert "deconv_k3 has no form" in str(refused.value)
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


def test_kinds_without_a_tied_form_are_known(tmp_path):
    config = tiny_config()
    config.model.upsampling = ("deconv_k2", "shuffle_k3")
    save_checkpoints(tmp_path / "two", config, seeds=[0])
    assert runs.untied(tmp_path / "two").startswith("deconv_k2 has no form")
    untied = {
        kind
        for kind in UPSAMPLING
        if kind not in cost.TIED and not clean_by_construction(kind)
    }
    assert untied == {"deconv_k2", "deconv_k3", "deconv_k5", "deconv_k6"}
    assert all(map(clean_by_construction, (*cost.TIED.values(), *cost.INSTEAD)))
