"""The command `caejax`: its subcommands, their names in help and errors, exit codes."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from helpers.tiny import save_checkpoints, tiny_config

from caejax import __main__ as console
from caejax import __version__
from caejax.__main__ import SUBCOMMANDS, Subcommand

ROOT = Path(__file__).parents[1]


@pytest.fixture
def caejax(capsys, monkeypatch):
    """Runs the command in this process; returns exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", sys.argv)

    def call(*words):
        flags.FLAGS.unparse_flags()
        try:
            code = console.main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-h",)])
def test_help_lists_the_subcommands_with_a_sentence_each(words, caejax):
    code, out, error = caejax(*words)
    assert (code, error) == (0, "")
    for name, found in SUBCOMMANDS.items():
        assert f"  {name} " in out
        assert found.sentence in " ".join(out.split())


@pytest.mark.parametrize("name", ["", *SUBCOMMANDS])
def test_help_fits_a_narrow_terminal(name, caejax, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = caejax(*filter(None, (name, "--help")))[1]
    assert [line for line in out.splitlines() if len(line) > 60] == []


def test_help_and_version_import_no_libraries():
    program = (
        "import sys; from caejax.__main__ import main; main([]); main(['--version']); "
        "print(sorted({'jax', 'numpy', 'ml_collections', 'absl'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    out = subprocess.check_output(
        [sys.executable, "-c", program], text=True, env=environment
    )
    assert out.splitlines()[-2:] == [f"caejax {__version__}", "[]"]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_names_itself_in_its_help(name, caejax):
    code, out, _ = caejax(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: caejax {name} ")
    assert caejax("help", name) == (code, out, "")
    assert "\n  --mode" not in out
    importlib.import_module(SUBCOMMANDS[name].module)


OF_PARSERS = ("diagnose", "fix", "measure", "export", "denoise", "sample")


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", OF_PARSERS)
def test_help_is_no_wider_than_the_terminal(name, columns, caejax, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = caejax(name, "--help")[1].splitlines()
    assert max(map(len, lines)) <= columns


COMMON = {"config", "workdir"}
OF_RUNS = COMMON | {"cores", "cache", "locks", "distributed"}
OF_RUNS |= {"coordinator_address", "num_processes", "process_id"}
OF_EVAL = {"references", "reference-images", "levels", "data-dir", "all"}
# By mode, the flags that change what it does, and those that it takes all the same.
FLAGS = {
    "run": (OF_RUNS, set()),
    "eval": (COMMON | OF_EVAL | {"cache", "locks"}, {"cores"}),
    "report": ({"workdir", "locks"}, {"config", "cores", "cache"}),
    "show": ({"config", "cores", "calibrate", "all"}, {"workdir", "cache", "locks"}),
    "slurm": (OF_RUNS | {"calibrate", "jobs"}, set()),
}


@pytest.mark.parametrize("mode", FLAGS)
def test_help_of_a_mode_has_its_flags_alone(mode, caejax):
    of_mode, ignored = FLAGS[mode]
    out = caejax(mode, "--help")[1]
    listed = re.findall(
        r"^  --(?:\[no\])?([\w-]+)(?:=\S+)?\n      \S", out, re.MULTILINE
    )
    assert sorted(listed) == sorted(of_mode)
    assert ("--config.FIELD=VALUE" in out) == (mode != "report")
    told = re.search(r"and ignored: (.*)\.", out)
    assert set(re.findall(r"--([\w-]+)", told[1] if told else "")) == ignored
    examples = out.split("examples:\n")[1].replace(" \\\n     ", "").splitlines()
    for example in examples:
        words = example.split()[2:]
        assert example.startswith(f"  caejax {mode} --"), example
        given = {re.split("[=.]", word)[0].removeprefix("--") for word in words}
        assert given <= of_mode | {"nocalibrate"}, example


@pytest.mark.parametrize("mode", FLAGS)
def test_flags_of_other_modes_are_refused(mode, caejax):
    """Every flag is listed by its modes, ignored by those that say so, or one line."""
    values = {"references": "all", "levels": "0", "data-dir": "x", "all": None}
    values |= {"reference-images": "3", "jobs": "2", "calibrate": None}
    values |= {"distributed": None, "num_processes": "2", "process_id": "0"}
    values |= {"coordinator_address": "x:1"}
    for flag, value in values.items():
        if flag not in FLAGS[mode][0]:
            word = f"--{flag}" if value is None else f"--{flag}={value}"
            code, _, error = caejax(mode, word)
            assert code == 1
            assert error.startswith(f"error: --{flag} is for `caejax "), (word, error)
            assert len(error.splitlines()) == 1


def test_what_a_report_ignores_is_not_looked_at(caejax, tmp_path):
    flags = "--config=nowhere.py", "--cores=3", "--nocache"
    error = caejax("report", f"--workdir={tmp_path}", *flags)[2]
    assert "config.json is missing" in error


def test_the_program_of_all_modes_lists_all_flags(caejax, capsys):
    main = importlib.import_module("caejax.main")
    with pytest.raises(SystemExit) as stop:
        main.parse_flags(["main.py", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    every = set().union(*(of_mode for of_mode, _ in FLAGS.values())) | {"mode"}
    listed = re.findall(
        r"^  --(?:\[no\])?([\w-]+)(?:=\S+)?(?:  \(|$)", out, re.MULTILINE
    )
    assert sorted(listed) == sorted(every)
    with pytest.raises(SystemExit):
        main.parse_flags(["main.py", "--mode=eval", "--help"])
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m caejax.main --mode=eval --workdir=DIR")


MEANT = {
    "--epochs=3": "--config.train.epochs=3",
    "-epochs=3": "--config.train.epochs=3",
    "--epochs 3": "--config.train.epochs=3",
    "--seed=1": "--config.seed=1",
    "--batch_size=64": "--config.train.batch_size=64",
    "--learning-rate=1e-3": "--config.optimizer.learning_rate=1e-3",
    "--train.epochs=3": "--config.train.epochs=3",
    "--model.epochs=3": "--config.train.epochs=3",
    "train.epochs=3": "--config.train.epochs=3",
    "config.train.epochs=3": "--config.train.epochs=3",
    "epochs=3": "--config.train.epochs=3",
    "--epohcs=3": "--config.train.epochs=3",
    "--levels=0.1": "--config.corruption.level=0.1",
    "--data-dir=x": "--config.data.dir=x",
    "--references=pca": "--config.references=\"('pca',)\"",
    "--image_size=(28,40)": "--config.data.image_size='(28,40)'",
    "--bottleneck=x": "--config.model.bottleneck=x",
    "--workdri=x": "--workdir=x",
    "workdir=x": "--workdir=x",
    "--num-processes=2": "--num_processes=2",
    "--nocachee": "--nocache",
    "quickstart": "--config=quickstart",
    "my.py": "--config=my.py",
}


@pytest.mark.parametrize("words", MEANT)
def test_what_is_no_flag_says_what_was_meant(words, caejax):
    code, _, error = caejax("run", *words.split(" "))
    assert code == 1
    assert f"did you mean {MEANT[words]}?" in error
    assert len(error.splitlines()) == 1


def test_a_name_of_several_fields_has_them_all(caejax):
    error = caejax("run", "--name=x")[2]
    assert re.search(r"did you mean --config\.\w+\.name=x, .* or --config\.", error)
    error = caejax("show", "--config=quickstart", "--config.name=x")[2]
    assert "did you mean 'corruption.name' or 'data.name'" in error


def test_hints_are_of_what_the_mode_looks_at(caejax):
    assert "did you mean" not in caejax("eval", "--epochs=3")[2]
    assert "--config.corruption.level=3?" in caejax("eval", "--level=3")[2]


@pytest.mark.parametrize("word", ["--nocache=3", "--cache=maybe"])
def test_switches_have_no_values(word, caejax):
    code, _, error = caejax("run", word)
    assert code == 1
    assert error.endswith("is a switch, which has no value: --cache, or --nocache\n")


def test_an_unknown_subcommand_is_one_line(caejax):
    code, out, error = caejax("denois", "photo.png")
    assert (code, out) == (1, "")
    assert error == (
        "error: 'denois' is no subcommand (did you mean 'denoise'?); caejax --help "
        "lists them\n"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [("train", "run"), ("trian", "run"), ("evaluate", "eval"), ("-V", "--version")],
)
def test_what_other_programs_call_it_is_understood(name, meant, caejax):
    code, _, error = caejax(name)
    assert code == 1
    assert error.startswith(f"error: {name!r} is no subcommand (did you mean {meant!r}")


NO_VALUE = {
    "--config --workdir=x": "--config has no value; give --config=NAME_OR_FILE, not",
    "--config=quickstart --workdir": "--workdir has no value; give --workdir=DIR",
    "--config=quickstart --config.train.epochs": "config.train.epochs has no value",
    "--config=quickstart --config.data.image_size=28x40": "config.data.image_size is "
    "'28x40'; it must be a whole number, like 28, or height and width in quotes",
    "--config=quickstart --config.model.widths=1_6": "config.model.widths is '1_6'; it "
    'must be a tuple in quotes, like "(16, 32, 32)"',
    "--flagfile=nowhere": "Unable to open flagfile",
}


@pytest.mark.parametrize("words", NO_VALUE)
def test_values_that_are_missing_or_unreadable(words, caejax):
    code, _, error = caejax("show", *words.split())
    assert code == 1
    assert error.startswith(f"error: {NO_VALUE[words]}")
    assert len(error.splitlines()) == 1


def test_a_flag_without_a_subcommand_is_one_line(caejax):
    code, _, error = caejax("--config=quickstart")
    assert code == 1
    assert error.startswith("error: --config=quickstart is no subcommand, which comes")
    assert "caejax run --config=quickstart" in error


def test_modes_are_called_with_their_name_and_see_their_flags(caejax, monkeypatch):
    seen = {}
    main = importlib.import_module("caejax.main")

    def see(argv):
        seen.update(rest=argv[1:], mode=flags.FLAGS.mode, workdir=flags.FLAGS.workdir)
        return 7

    monkeypatch.setattr(main, "main", see)
    assert caejax("eval", "--workdir=x")[0] == 7
    assert seen == {"rest": [], "mode": "eval", "workdir": "x"}
    # What a run's environment.json is written from.
    assert sys.argv == ["caejax eval", "--mode=eval", "--workdir=x"]


def test_a_mode_is_not_given_twice(caejax):
    code, _, error = caejax("run", "--mode=eval")
    assert code == 1
    assert error == "error: caejax run has no --mode, it is one; leave that out\n"


def test_modes_pass_their_exit_code_and_line_on(caejax, tmp_path):
    code, _, error = caejax("report", f"--workdir={tmp_path}")
    assert code == 1
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


def test_trained_models_are_used(caejax, tmp_path):
    save_checkpoints(tmp_path / "run", tiny_config(), seeds=[0])
    flags = f"--run={tmp_path / 'run'}", f"--out={tmp_path / 'out'}", "--nocache"
    code, _, error = caejax("encode", "--limit=3", *flags)
    assert (code, error) == (0, "")
    assert (tmp_path / "out" / "codes.npz").exists()
    code, _, error = caejax("encode", "--limit=3", *flags)
    assert code == 1
    assert "add --overwrite" in error
    code, _, error = caejax("encode", "--limits=3", *flags)
    assert code == 1
    assert error == (
        "error: '--limits=3' is not known (did you mean '--limit'?); try caejax encode "
        "--help\n"
    )


NEEDED = {
    "reconstruct": "--run=DIR",
    "encode": "--run=DIR",
    "neighbours": "--run=DIR",
    "sample": "--run=DIR",
    "interpolate": "--run=DIR",
    "diagnose": "MODEL",
    "export": "--run=RUN",
    "measure": "IMAGES",
    "fix": "MODEL",
}


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named_in_one_line(name, caejax):
    code, out, error = caejax(name)
    assert (code, out) == (1, "")
    assert error.startswith(f"error: {NEEDED[name]} (")
    assert error.endswith(f" missing; try caejax {name} --help\n")
    assert len(error.splitlines()) == 1


SLIPS = {
    "fix runs/x": r"--out=FILE \(the ONNX file .*\) is missing",
    "export --run=x": r"--format=FORMAT \(.*\) and --out=FILE \(.*\) are missing",
    "fix x --uot=y": r"'--uot=y' is not known \(did you mean '--out'\?\)",
    "fix x --out": "--out has no value; give --out=FILE",
    "fix x --out=y --finetune=3x": "--finetune: 3x is not a whole number",
    "measure x --threshold=high": "--threshold: high is not a number",
    "diagnose x --threshold=nan": "--threshold: nan is no threshold",
    "measure a b c": "'c' is not known",
    "denoise x --format=jpg": "--format: 'jpg' is not written, because JPEG would lose",
    "denoise x --format=tif": r"--format is 'tif' \(did you mean 'tiff'\?\); known:",
    "encode x": r"--run=DIR \(the folder of a run, .* denoiser_color\) is missing",
    "encode --run=x --split=tets": r"--split is 'tets' \(did you mean 'test'\?\)",
    "encode --run=x --overwrite=1": "--overwrite is a switch, which has no value",
    "encode --run=x --count=2.5": "--count: '2.5' is not a whole number",
}


@pytest.mark.parametrize("words", SLIPS)
def test_slips_of_commands_with_a_parser_are_one_line(words, caejax):
    code, out, error = caejax(*words.split())
    assert (code, out) == (1, "")
    assert re.fullmatch(
        rf"error: {SLIPS[words]}.*; try caejax {words.split()[0]} --help\n", error
    )


def test_ctrl_c_is_130(caejax, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(SUBCOMMANDS, "stop", Subcommand("Stops.", "caejax", stop))
    assert caejax("stop") == (130, "", "error: interrupted\n")


def test_it_is_a_console_script_and_a_module():
    setup = (ROOT / "setup.py").read_text()
    assert '"caejax = caejax.__main__:run"' in setup
    done = subprocess.run(
        [sys.executable, "-m", "caejax", "shwo"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: 'shwo' is no subcommand (did you mean 'show'?); "
        "python -m caejax --help lists them\n"
    )
