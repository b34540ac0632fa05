"""Images of two, four and five channels, from training to every figure."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config

import caejax
from caejax import apply
from caejax.report import applied, figures, panels, patterns
from caejax.report.channels import apart, grey, planes
from caejax.report.read import RunFiles, read_run
from caejax.report.style import paper_style

COUNTS = (2, 4, 5)


def images(channels, count=3, side=8):
    """Pictures whose c-th channel has the value (c + 1) / 10 all over."""
    values = (1 + np.arange(channels)) / 10
    return np.broadcast_to(values, (count, side, side, channels)).copy()


def run_files(channels):
    x = images(channels)
    flat = x + 0.01 * np.indices(x.shape).sum(0) % 2
    names = ("gallery_input", "gallery_output", "gallery_ripple")
    arrays = {"target": x, "input": x, "output": x, "flat": flat}
    return RunFiles({}, {}, [], arrays | dict.fromkeys(names, x))


@pytest.fixture(autouse=True)
def house_style():
    with paper_style():
        yield
    plt.close("all")


def channels_drawn(axis):
    """The values of a picture from the top, and their labels."""
    column = axis.images[0].get_array()[:, 0]
    return (
        [round(x, 6) for x in dict.fromkeys(np.asarray(column).tolist()) if x != 1],
        [text.get_text() for text in axis.get_yticklabels()],
    )


@pytest.mark.parametrize("channels", COUNTS)
def test_channels_are_one_below_the_other(channels):
    x = images(channels)[0]
    picture = apart(x)
    assert picture.shape == (channels * 9 - 1, 8, 1)
    np.testing.assert_array_equal(picture[::9, 0, 0], x[0, 0])
    assert (picture[8::9] == 1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_stay_whole(channels):
    x = images(channels)
    assert planes(x) == 1
    np.testing.assert_array_equal(apart(x[0]), x[0])
    assert grey(x).shape == (*x.shape[:3], 1)


@pytest.mark.parametrize("channels", COUNTS)
def test_figures_show_and_number_every_channel(channels):
    run, x = run_files(channels), images(channels)
    ends = x[0], x[1]
    expected = [(1 + c) / 10 for c in range(channels)]
    expected = expected, [f"ch {c + 1}" for c in range(channels)]
    for figure in (
        figures.reconstructions(run),
        applied.rows({"image": x, "output": x}),
        applied.codes(x, np.zeros((3, 2, 2, 2))),
        applied.neighbours(x, [x, x, x], np.zeros((3, 3))),
        applied.sheet(x),
        applied.interpolation(ends, x, [0, 0.5, 1]),
        patterns.gallery({"": run}),
    ):
        figure.canvas.draw()
        assert channels_drawn(figure.axes[0]) == expected


@pytest.mark.parametrize("channels", COUNTS)
def test_the_page_has_every_channel(channels):
    strips = panels.panels({"": run_files(channels)})[""]["strips"]
    names = [strip["name"] for strip in strips]
    assert all(name.endswith(f", channels 1 to {channels}") for name in names)
    assert [name.split(",")[0] for name in names] == [
        *("target", "input", "output", "ripple"),
    ]
    assert re.search(r"ripple, black to white ±[\d.e-]+ of 255,", names[-1])
    assert {strip["height"] for strip in strips} == {channels * 9 - 1}


def config_of(channels, folder):
    x = np.random.default_rng(0).random((24, 16, 16, channels), np.float32)
    np.savez(folder / "data.npz", x_train=x, x_test=x[:12])
    config = tiny_config()
    config.data.update(source="npz", dir=str(folder / "data.npz"), channels=channels)
    config.train.update(epochs=1, probe_steps=())
    return config


@pytest.mark.parametrize("channels", COUNTS)
def test_apply_writes_arrays_and_figures(channels, tmp_path):
    save_checkpoints(tmp_path / "run", config_of(channels, tmp_path), seeds=[0])
    flags = [f"--run={tmp_path / 'run'}", f"--out={tmp_path / 'out'}", "--nocache"]
    assert apply.main(["denoise", *flags, "--split=test"]) == 0
    with np.load(tmp_path / "out" / "denoised.npz") as arrays:
        assert arrays["output"].shape == (12, 16, 16, channels)
    assert (tmp_path / "out" / "denoised.png").exists()
    noisy = np.zeros((2, 16, 16, channels), np.float32)
    assert caejax.load(tmp_path / "run").denoise(noisy).shape == noisy.shape


def test_training_and_its_page(tmp_path):
    run = tmp_path / "run"
    caejax.train(config_of(5, tmp_path), run)
    with np.load(run / "samples.npz") as samples:
        assert samples["output"].shape == (8, 16, 16, 5)
    strips = panels.panels({"": read_run(run)})[""]["strips"]
    assert strips[0]["name"] == "target, channels 1 to 5"
