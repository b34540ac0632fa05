"""The command `caejax`: its subcommands, their names in help and errors, exit codes."""

import importlib
import os
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
        assert found.sentence in out


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


def test_an_unknown_subcommand_is_one_line(caejax):
    code, out, error = caejax("denois", "photo.png")
    assert (code, out) == (1, "")
    assert error == (
        "error: 'denois' is no subcommand (did you mean 'denoise'?); caejax --help "
        "lists them\n"
    )


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
    # What a run's environment.json holds behind `python -m caejax.main`.
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
    assert error == ("error: '--limits=3' is not known; try caejax encode --help\n")


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
