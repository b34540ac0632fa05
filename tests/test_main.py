"""The command line, as users meet it; in real processes where that is the point."""

import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl import flags
from PIL import Image

from caejax import main
from caejax.config.load import load_config
from caejax.files.locks import holding

ROOT = Path(__file__).parents[1]

CONFIG_FILE = """
from helpers.tiny import tiny_config

def get_config():
    config = tiny_config()
    config.train.epochs = 1
    return config
"""

SWEEP_FILE = """
from helpers.tiny import tiny_config

def get_config():
    config = tiny_config()
    config.train.epochs = 1
    names = ("deconv_k3", "nearest_k3")
    config.sweep = {
        "decoder": {"field": "model.upsampling", "values": names},
        "noise": {"field": "corruption.level", "values": (0.1, 0.5)},
        "seed": {"field": "seed", "values": (0,)},
    }
    return config
"""


def caejax(*flags):
    """Runs the program; returns exit code, output and error output."""
    done = subprocess.run(
        [sys.executable, "-m", "caejax.main", *flags],
        env=os.environ
        | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "COLUMNS": "200"}
        | {"XLA_FLAGS": ""},  # those of the tests are named in a note
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def write_idx(folder, name, magic, *shape, cut=0):
    data = struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(np.prod(shape))
    packed = gzip.compress(data)
    (folder / f"{name}.gz").write_bytes(packed[: len(packed) - cut])


def write_mnist(folder, **changes):
    for part, count in (("train", 8), ("t10k", 4)):
        images = {"magic": 2051, "cut": 0} | (changes if part == "train" else {})
        write_idx(
            folder,
            f"{part}-images-idx3-ubyte",
            images["magic"],
            count,
            16,
            16,
            cut=images["cut"],
        )
        write_idx(folder, f"{part}-labels-idx1-ubyte", 2049, count)


CASES = {
    "a misspelt field": (
        ["--config.train.epoch=3"],
        r"no field 'train.epoch'.*'train.epochs'",
    ),
    "a misspelt section": (["--config.optimiser.name=sgd"], "'optimizer.name'"),
    "a string for a number": (
        ["--config.train.epochs=many"],
        "config.train.epochs is 'many'; it must be a whole number",
    ),
    "a string for a level": (
        ["--config.corruption.level=high"],
        "config.corruption.level is 'high'; it must be a number",
    ),
    "an unknown upsampling": (
        ["--config.model.upsampling=deconv_k9"],
        "known: deconv_k2, deconv_k3, .* bilinear_additive",
    ),
    "an unknown layer": (
        ["--config.model.encoder=layers", "--config.model.decoder_layers=('conv3 1',)"]
        + ["--config.model.encoder_layers=('conv3 8 relu', 'pol')"],
        "config.model.encoder_layers: 'pol' is no layer .did you mean 'pool'",
    ),
    "an unknown source": (
        ["--config.data.source=mnist"],
        "known: glyphs, dead_leaves, idx, folder, bsds500, npz, tfds",
    ),
    "an unknown corruption": (
        ["--config.corruption.name=fog"],
        "known: none, gaussian, masking, salt_and_pepper, poisson_gaussian, .* box",
    ),
    "an unknown mode": (["--mode=train"], "mode"),
    "a missing folder": (
        ["--config.data.source=idx", "--config.data.dir=TMP/nowhere"],
        "TMP/nowhere",
    ),
    "a truncated gzip": (
        ["--config.data.source=idx", "--config.data.dir=TMP/cut"],
        "train-images-idx3-ubyte.gz",
    ),
    "a wrong magic number": (
        ["--config.data.source=idx", "--config.data.dir=TMP/magic"],
        "train-images-idx3-ubyte.gz",
    ),
    "an empty image folder": (
        ["--config.data.source=folder", "--config.data.dir=TMP/empty"],
        "TMP/empty",
    ),
    "a broken image": (
        ["--config.data.source=folder", "--config.data.dir=TMP/broken"],
        "broken.png",
    ),
    "images of another size": (
        ["--config.data.source=idx", "--config.data.dir=TMP/fine"]
        + ["--config.data.image_size=28"],
        "16",
    ),
    "another model's folder": (
        ["--workdir=TMP/run", "--config.model.latent_channels=3"],
        "model.latent_channels is 2 there and 3 here",
    ),
    "a loss that is not finite": (
        ["--config.optimizer.name=sgd", "--config.optimizer.learning_rate=1e30"],
        "at step",
    ),
    "no workdir": (["--workdir="], "--workdir=runs/"),
    "a word that is no flag": (
        ["quickstart"],
        "'quickstart' is no flag .did you mean --config=",
    ),
    "two configs": (
        ["--config=TMP/config.py", "--config=TMP/sweep.py"],
        "--config is given twice; leave one out",
    ),
    "a missing config file": (["--config=TMP/none.py"], "TMP/none.py"),
    "a config file with a misspelt field": (
        ["--config=TMP/misspelt.py"],
        "misspelt.py.*did you mean 'train.epochs'",
    ),
    "a config file that fails": (["--config=TMP/fails.py"], "fails.py.*boom"),
    "a config file that asserts": (["--config=TMP/asserts.py"], "AssertionError"),
    "a config file without a return": (
        ["--config=TMP/none_returned.py"],
        "none_returned.py.*returns nothing",
    ),
    "a broken tuple": (
        ["--config=TMP/sweep.py", "--config.sweep.seed.values=(0, 1"],
        "config.sweep.seed.values is .* quote tuples",
    ),
    "an unknown axis": (
        ["--config=TMP/sweep.py", "--config.sweep.sede.values=(0,)"],
        "no axis for sweep.sede.values",
    ),
    "a report on nothing": (["--mode=report"], "config.json is missing"),
    "an evaluation of nothing": (["--mode=eval"], "holds no run"),
    "an unknown reference": (
        ["--mode=eval", "--references=input,posteriori"],
        r"'posteriori' \(did you mean 'posterior'",
    ),
    "a word for a level": (["--mode=eval", "--levels=0,hi"], "'hi', which is no level"),
    "references without --mode=eval": (["--references=all"], "is for `caejax eval`"),
    "an unknown reference of a config": (
        ["--config.references=('medain',)"],
        "'medain' .did you mean 'median'",
    ),
    "a time without --mode=show": (["--calibrate"], "--calibrate is for `caejax show`"),
    "a field that an axis sets": (
        ["--config=TMP/sweep.py", "--config.corruption.level=0.3"],
        "the axis 'noise' of config.sweep sets it in every run",
    ),
    "a field that an evaluation has no use for": (
        ["--mode=eval", "--config.train.epochs=3"],
        "config.train.epochs is set, but `caejax eval`",
    ),
    "levels of another config": (["--mode=eval", "--levels=0"], "leave out --config"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Configs, a finished run, and data with every kind of damage."""
    tmp = tmp_path_factory.mktemp("main")
    (tmp / "config.py").write_text(CONFIG_FILE)
    (tmp / "sweep.py").write_text(SWEEP_FILE)
    misspelt = CONFIG_FILE.replace("train.epochs", "train.epoch")
    (tmp / "misspelt.py").write_text(misspelt)
    (tmp / "fails.py").write_text("raise RuntimeError('boom')")
    (tmp / "asserts.py").write_text("def get_config():\n    assert False")
    (tmp / "none_returned.py").write_text("def get_config():\n    pass")
    for name, changes in (("fine", {}), ("cut", {"cut": 9}), ("magic", {"magic": 7})):
        (tmp / name).mkdir()
        write_mnist(tmp / name, **changes)
    (tmp / "empty").mkdir()
    (tmp / "broken").mkdir()
    for i in range(4):
        Image.new("L", (20, 20), 9 * i).save(tmp / "broken" / f"{i}.png")
    (tmp / "broken" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    run = f"--config={tmp / 'config.py'}", f"--workdir={tmp / 'run'}", "--cores=1"
    with pytest.MonkeyPatch.context() as patch:
        assert main_in_process(["caejax", *run], patch) == 0
    return tmp


@pytest.fixture
def in_process(monkeypatch, capfd):
    """`caejax`, without the seconds that a new process takes to start."""

    def call(*flags):
        code = main_in_process(["caejax", *map(str, flags)], monkeypatch)
        return code, *capfd.readouterr()

    return call


def main_in_process(argv, monkeypatch):
    flags.FLAGS.unparse_flags()
    monkeypatch.setattr(sys, "argv", argv)
    try:
        return main.main(main.parse_flags(argv))
    except SystemExit as stop:
        return stop.code


def test_one_command_at_a_time_trains_in_a_folder(folder, in_process):
    config = f"--config={folder / 'config.py'}"
    with holding(folder / "taken" / ".lock"):
        code, _, error = in_process(config, f"--workdir={folder / 'taken'}")
    assert code == 1
    assert error.startswith("error: another command trains in ")
    assert not (folder / "taken" / "config.json").exists()


@pytest.mark.parametrize("mode", ["run", "eval", "report"])
def test_what_is_refused_leaves_no_folder(mode, folder, in_process):
    workdir = folder / "refused" / mode
    impossible = f"--config.data.dir={folder / 'nowhere'}", "--config.data.source=idx"
    for name in ("config", "sweep"):
        config = (f"--config={folder / name}.py", *impossible)
        words = config if mode == "run" else ()
        code, _, error = in_process(f"--mode={mode}", f"--workdir={workdir}", *words)
        assert (code, len(error.splitlines())) == (1, 1)
        assert not (folder / "refused").exists()


@pytest.mark.parametrize("name", CASES)
def test_mistakes_are_one_line_and_exit_code_1(name, folder, in_process):
    cli, words = CASES[name]
    cli = [flag.replace("TMP", str(folder)) for flag in cli]
    first = [f"--config={folder / 'config.py'}", f"--workdir={folder / name}"]
    given = {flag.partition("=")[0] for flag in cli}
    first = [flag for flag in first if flag.partition("=")[0] not in given]
    code, _, error = in_process(*first, *cli)
    lines = error.strip().splitlines()
    assert code == 1
    assert len(lines) == 1, lines
    assert re.search(f"^error: .*{words.replace('TMP', str(folder))}", lines[0])


@pytest.mark.parametrize("name", ["a misspelt field", "a truncated gzip"])
def test_mistakes_look_the_same_from_a_shell(name, folder):
    cli, words = CASES[name]
    cli = [flag.replace("TMP", str(folder)) for flag in cli]
    config = f"--config={folder / 'config.py'}"
    code, _, error = caejax(config, f"--workdir={folder / name}", *cli)
    assert code == 1
    assert re.search(rf"\Aerror: .*{words}.*\n\Z", error)


def test_nothing_written_is_lost_by_a_mistake(folder):
    assert (folder / "run" / "summary.json").exists()
    assert '"latent_channels": 2' in (folder / "run" / "config.json").read_text()


PATTERNS = ("residual_spectrum", "phase_means", "gallery")


def test_a_run_draws_its_figures_and_runs_once(folder, in_process):
    figures = {path.name for path in (folder / "run" / "figures").iterdir()}
    names = ("reconstructions", "curves", *PATTERNS)
    assert figures == {f"{n}.{suffix}" for n in names for suffix in ("png", "pdf")}
    page = (folder / "run" / "report.html").read_text()
    assert "How well does this model denoise" in page
    before = (folder / "run" / "metrics.jsonl").read_bytes()
    code, output, _ = in_process(
        f"--config={folder / 'config.py'}", f"--workdir={folder / 'run'}"
    )
    assert code == 0
    assert "test/psnr" in output
    assert "phase_var_cv_s2" not in output
    assert "values: " in output
    assert (folder / "run" / "metrics.jsonl").read_bytes() == before


def test_eval_measures_again_and_elsewhere(folder, in_process):
    code, output, _ = in_process("--mode=eval", f"--workdir={folder / 'run'}")
    assert code == 0
    assert "psnr_noisy" in output
    assert "input's PSNR (dB)" in output
    assert "phase_var_cv_s2" not in output
    _, all_values, _ = in_process("--mode=eval", f"--workdir={folder / 'run'}", "--all")
    assert "phase_var_cv_s2" in all_values
    code, noisier, _ = in_process(
        "--mode=eval",
        f"--workdir={folder / 'run'}",
        f"--config={folder / 'config.py'}",
        "--config.corruption.level=0.9",
    )
    assert code == 0
    assert noisier != output


def test_show_prints_config_runs_and_shapes_without_training(folder, in_process):
    workers = ["--config.executor.name=processes", "--config.executor.workers=1"]
    sweep = (
        f"--config={folder / 'sweep.py'}",
        "--config.sweep.decoder.values=('deconv_k3',)",
    )
    code, output, _ = in_process(*sweep, "--mode=show", *workers, "--calibrate")
    assert code == 0
    words = ("latent_channels = 2", "model of run ", "(as all others):", "3x3x1x4")
    places = [output.index(x) for x in (*words, "total", "2 runs", "deconv_k3")]
    assert places == sorted(places)  # what the runs differ in comes last
    assert "takes about" in output.splitlines()[-1]


def test_show_trains_only_when_asked(folder, in_process, monkeypatch):
    monkeypatch.setitem(sys.modules, "caejax.commands.estimate", None)
    monkeypatch.setenv("COLUMNS", "60")
    code, output, _ = in_process(f"--config={folder / 'sweep.py'}", "--mode=show")
    assert code == 0
    assert output.splitlines()[-1].startswith("--calibrate tells how long")
    assert max(map(len, output.splitlines())) <= 60
    assert "(others have other models):" in output


def test_on_a_terminal_no_estimate_is_cut_within_a_word(
    folder, in_process, monkeypatch
):
    said = "takes about 5 min on this machine (2 cores, 2 runs at a time), from a test"
    made = SimpleNamespace(time_line=lambda *_, **__: said)
    monkeypatch.setitem(sys.modules, "caejax.commands.estimate", made)
    monkeypatch.setattr("caejax.terminal.lines.columns", lambda: 60)
    config = f"--config={folder / 'sweep.py'}"
    code, output, _ = in_process(config, "--mode=show", "--calibrate")
    assert code == 0
    *_, first, last = output.splitlines()
    assert f"{first} {last}" == said
    assert len(first) <= 60


@pytest.mark.parametrize("name", ["config", "sweep"])
def test_show_is_short_but_for_all(name, folder, in_process):
    """Of the hundred lines of a config come those that are not the usual ones."""
    flags = [f"--config={folder / name}.py", "--mode=show"]
    code, output, _ = in_process(*flags, "--config.corruption.name=salt_and_pepper")
    assert code == 0
    changed = output.split("--all prints all:\n")[1].split("\n\n")[0]
    fields = {line.split(" = ")[0].strip() for line in changed.splitlines()}
    assert {"data.image_size", "corruption.name", "model.latent_channels"} <= fields
    # Of a corruption the defaults are its own, and what is swept is in the table.
    config = load_config(folder / f"{name}.py")
    swept = [axis["field"] for axis in config.sweep.values()]
    assert not {"corruption.level", "seed", *swept} & fields
    assert not any(field.startswith(("sweep", "corruption.params")) for field in fields)
    code, output, _ = in_process(*flags, "--all")
    assert code == 0
    assert '"train": {' in output
    assert "--all" not in output


def test_a_sweep_writes_results_figures_tables_and_page(folder, in_process):
    workdir = folder / "sweep"
    flags = [f"--config={folder / 'sweep.py'}", f"--workdir={workdir}"]
    code, output, error = in_process(*flags, "--config.references=('median', 'pca')")
    assert code == 0, error
    assert "PSNR" in output
    assert (workdir / "references.csv").read_text().count("\nmedian,") == 2
    assert (workdir / "results.csv").read_text().count(",done,") == 4
    figures = {path.name for path in (workdir / "figures").iterdir()}
    names = ("denoisers", "checkerboard", "dc_ripple_steps", "quality_level")
    names = (*names, *PATTERNS)
    assert figures == {f"{n}.{suffix}" for n in names for suffix in ("png", "pdf")}
    page = (workdir / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page
    table = (workdir / "tables" / "results.md").read_text()
    assert table.count("\n") == 2 + 4 + 2 * 2
    written = {path.name for path in (workdir / "tables").iterdir()}
    assert written == {
        f"{n}.{kind}" for n in ("results", "best") for kind in ("md", "tex")
    }
    for path in (workdir / "figures").iterdir():
        path.unlink()
    code, _, error = in_process("--mode=report", f"--workdir={workdir}")
    assert code == 0, error
    assert {path.name for path in (workdir / "figures").iterdir()} == figures
