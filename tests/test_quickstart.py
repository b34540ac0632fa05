"""Whether what is told of the first command is what it makes."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from caejax.config.load import load_config
from caejax.files.csv_files import read_csv
from caejax.report.denoisers import denoisers
from caejax.report.figures import comparable_runs
from caejax.report.read import read_sweep
from caejax.report.style import paper_style
from caejax.sweep.spec import expand
from experiments.quickstart import keep

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def results():
    return read_csv(keep.HERE / "results.csv")


@pytest.fixture(scope="module")
def references():
    return read_csv(keep.HERE / "references.csv")


def test_what_is_kept_is_of_the_config_as_it_is(results, references):
    config = load_config("quickstart")
    assert [row["run_id"] for row in results] == [run.id for run in expand(config)]
    assert {row["status"] for row in results} == {"done"}
    assert {row["reference"] for row in references} == set(config.references)


def test_every_decoder_beats_every_reference_on_the_same_images(results, references):
    for row in results:
        others = [r for r in references if r["seed"] == row["seed"]]
        assert len(others) == 3
        for other in others:
            assert other["test/psnr_noisy"] == pytest.approx(row["test/psnr_noisy"])
            assert row["test/psnr"] > other["test/psnr"] + 0.5


def test_readers_see_the_numbers_that_were_kept():
    assert keep.table() in (keep.HERE / "README.md").read_text()
    assert "experiments/quickstart/denoisers.png" in README.read_text()


def test_a_pattern_is_seen_on_reconstructions_but_for_the_clean_decoder():
    for run in read_sweep(keep.DRAWN).runs.values():
        flat = run.samples["gallery_output"][keep.LIGHT_GREY]
        deviation = 255 * flat.std()
        clean = run.config["model"]["upsampling"] == "nearest_k3"
        assert deviation < 0.01 if clean else deviation > 5


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    keep.draw(folder)
    return folder


@pytest.mark.parametrize("name", keep.REDRAWN)
def test_figures_are_drawn_again_pixel_for_pixel(name, drawn):
    again, kept = (Image.open(x / f"{name}.png") for x in (drawn, keep.HERE))
    if f"version{mpl.__version__}," not in kept.info["Software"]:
        pytest.skip(f"it was drawn by {kept.info['Software']}")
    np.testing.assert_array_equal(np.asarray(again), np.asarray(kept))


def test_what_is_kept_is_drawn_with_the_command_s_words():
    """Of one run a decoder is kept what is shown; that there are two seeds, too."""
    sweep = keep._whole(read_sweep(keep.DRAWN))
    runs = comparable_runs(sweep)
    kept = read_sweep(keep.DRAWN).runs.values()
    assert [run.config for run in runs.values()] == [run.config for run in kept]
    with paper_style():
        said = denoisers(sweep).get_suptitle()
    assert said == "glyphs, gaussian 0.3, seed 1; tables have the means over seeds"
