"""Figures are the same bytes whatever matplotlib is told by its user."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from caejax.report.style import bare, paper_style, save

ROOT = Path(__file__).parents[1]


def draw(folder):
    with paper_style():
        figure, axes = plt.subplots(1, 2, figsize=(3, 1.5))
        axes[0].plot([0, 1, 4], label="a")
        axes[0].set(title="Title, $x^2$", xlabel="-1.5", yscale="symlog")
        axes[0].legend()
        axes[1].imshow(np.arange(12.0).reshape(3, 4))
        bare(axes[1])
        save(figure, folder / "figure", formats=("png", "pdf"))
    return [(folder / f"figure.{end}").read_bytes() for end in ("png", "pdf")]


HOSTILE = [
    {"text.usetex": True, "font.family": "serif"},
    {"figure.dpi": 30, "savefig.dpi": 30, "savefig.bbox": "tight"},
    {"axes.prop_cycle": mpl.cycler(color=["k", "c"]), "lines.linestyle": ":"},
    {"savefig.facecolor": "red", "savefig.transparent": True, "figure.facecolor": "k"},
    {"axes.formatter.use_locale": True, "axes.unicode_minus": False},
    {"image.origin": "lower", "image.cmap": "jet", "xtick.direction": "in"},
    {"figure.autolayout": True, "figure.constrained_layout.h_pad": 0.5},
    {"pdf.compression": 0, "pdf.fonttype": 3, "path.sketch": (1, 100, 2)},
    {"interactive": True, "toolbar": "None", "agg.path.chunksize": 5},
    {"savefig.format": "svg", "savefig.pad_inches": 3, "mathtext.fontset": "cm"},
]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("settings", HOSTILE, ids=lambda x: next(iter(x)))
def test_a_user_s_settings_change_no_byte_and_are_left_alone(settings, usual, tmp_path):
    with mpl.rc_context(settings):
        before = dict(mpl.rcParams)
        assert draw(tmp_path) == usual
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("date", ["0", "no date"])
def test_dates_of_the_environment_change_no_byte(date, usual, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    assert draw(tmp_path) == usual
    assert os.environ["SOURCE_DATE_EPOCH"] == date


def test_a_broken_backend_and_file_change_no_byte(usual, tmp_path):
    # The file in the working directory goes before that of MATPLOTLIBRC.
    (tmp_path / "matplotlibrc").write_bytes(b"font.size: 30\n\xff\xfe: 1\n")
    program = (
        "import pathlib, sys; import caejax.report; import helpers_of_style as h; "
        "h.draw(pathlib.Path(sys.argv[1]))"
    )
    (tmp_path / "helpers_of_style.py").write_text(Path(__file__).read_text())
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "MPLBACKEND": "nonsense",
            "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
            "MPLCONFIGDIR": "/dev/null/none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"figure.{e}").read_bytes() for e in ("png", "pdf")] == usual


@pytest.mark.parametrize("name", ["module://there_is_none", "TkAgg", "svg"])
def test_a_backend_that_does_not_work_is_not_asked(name, usual, tmp_path):
    with mpl.rc_context():
        before = plt.get_backend()
        mpl.rcParams["backend"] = name
        try:
            assert draw(tmp_path) == usual
        finally:
            plt.switch_backend(before)


def test_letters_that_the_font_lacks_are_no_warnings(tmp_path):
    with paper_style():
        figure = plt.figure()
        figure.suptitle("日本.png")
        save(figure, tmp_path / "figure")
    assert (tmp_path / "figure.png").stat().st_size


def test_a_figure_that_cannot_be_written_whole_leaves_no_file(tmp_path, monkeypatch):
    def fails(self, file, **_):
        file.write(b"a part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(OSError, match=r"No space left .*figure\.png"):
        save(plt.figure(), tmp_path / "figure")
    assert not list(tmp_path.iterdir())
