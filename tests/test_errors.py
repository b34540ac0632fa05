"""What happens outside the code is one line; what is left has its traceback kept."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import caejax
from caejax.errors import CaejaxError, describe, exit_code
from caejax.files.atomic import naming, replacing, write_atomically
from caejax.report.style import save
from caejax.training import folder
from caejax.training.metrics_log import MetricsWriter

ROOT = Path(__file__).parents[1]


@pytest.fixture
def shown(monkeypatch, capsys, tmp_path):
    """The line that a command shows which raises an error."""
    monkeypatch.delenv("CAEJAX_TRACEBACK")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run(error):
        def command():
            raise error

        assert exit_code(command, "interrupted") == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("by\nzero"), KeyError("x"), AssertionError("é")]
)
def test_what_was_not_foreseen_is_a_line_with_its_traceback(error, shown, tmp_path):
    line = shown(error)
    (file,) = tmp_path.glob("caejax-*.txt")
    assert line.startswith(f"error: {type(error).__name__}: ")
    assert line.endswith(f"please report it: its traceback is in {file}")
    assert b"in command\n" in file.read_bytes()


def test_a_traceback_that_cannot_be_kept_is_no_second_error(shown, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/none")
    assert shown(ValueError("x")).endswith("CAEJAX_TRACEBACK=1 shows its traceback")


def test_a_date_of_the_environment_that_is_none_reaches_no_library():
    program = "exit_code(lambda: print(__import__('numpy.f2py').__name__) or 0, '')"
    done = subprocess.run(
        [sys.executable, "-c", f"from caejax.errors import exit_code; {program}"],
        env=os.environ | {"SOURCE_DATE_EPOCH": "no date", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "numpy\n", done.stderr


def test_developers_get_what_was_not_foreseen_raw(monkeypatch, capsys):
    def command():
        raise error

    monkeypatch.setenv("CAEJAX_TRACEBACK", "1")
    error = KeyError("x")
    with pytest.raises(KeyError):
        exit_code(command, "interrupted")
    foreseen = CaejaxError("a line"), MemoryError(), PermissionError(1, "no", "f")
    for error in foreseen:  # noqa: B007, it is what the command raises
        assert exit_code(command, "interrupted") == 1
    assert len(capsys.readouterr().err.splitlines()) == 3


def caused(cause):
    try:
        raise RuntimeError("something") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "/a/b: No space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a"), "/a: Disk quota"),
        (caused(OSError(errno.ENOSPC, "No space left", "/a/b")), "/a/b: No space"),
        (ValueError('Error writing "/a/b": No space left on device [28]'), "/a/b: No"),
        (MemoryError(), "make train.batch_size"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), "9 byt"),
        (
            ModuleNotFoundError("no", name="ml_collections"),
            "pip install ml-collections",
        ),
        (ModuleNotFoundError("no", name="PIL.Image"), "pip install pillow"),
        (ValueError('Invalid value "x" for JAX flag jax_y'), "unset that variable"),
        (ValueError("invalid truth value 'x' for environment 'JAX_Y'"), "unset that"),
        (ValueError("invalid truth value 'x' for environment 'FLAX_Y'"), "unset that"),
        (RuntimeError("Unable to initialize backend 'cuda'"), "JAX_PLATFORMS=cpu"),
    ],
)
def test_what_lies_outside_names_the_mend_and_keeps_no_traceback(
    error, words, shown, tmp_path
):
    line = shown(error)
    assert words in line
    assert "report" not in line
    assert words in describe(error)
    assert not list(tmp_path.glob("caejax-*"))


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_rows(path, count, **values):
    with MetricsWriter(path.parent, 0) as writer:
        for step in range(1, count):
            writer.write({"step": step, "epoch": step / 7, "split": "val", **values})


WRITERS = {
    "a.txt": lambda path: write_atomically(path, "x" * 5000),
    "a.png": lambda path: save(plt.figure(), path),
    "metrics.jsonl": lambda path: write_rows(path, 50, loss=1 / 7),
    "tensorboard": lambda path: write_rows(path, 9, dc_ripple_db_s2=-30.0),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_with_the_file_s_name_and_later_goes_on(name, tmp_path):
    path = tmp_path / name
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        WRITERS[name](path)
    plt.close("all")
    assert describe(caught.value).startswith(f"{path}: File too large; make space")
    WRITERS[name](path)
    assert path.exists()


def test_what_was_written_outlives_a_full_disk(tmp_path):
    write_atomically(tmp_path / "a.txt", "old")
    with full_disk(), pytest.raises(OSError, match="large"):
        write_atomically(tmp_path / "a.txt", "x" * 5000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("name", ["a.txt", "a" * 250])
def test_each_of_two_writers_of_a_file_writes_all_of_it(name, tmp_path):
    path = tmp_path / name
    with replacing(path) as first:
        first.write(b"the first's, ")
        first.flush()
        with replacing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b"in two parts")
    assert path.read_bytes() == b"the first's, in two parts"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_to_a_pipe_that_has_been_closed_is_lost():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        write_atomically(Path(f"/dev/fd/{writer}"), "x" * 5000)
    finally:
        os.close(writer)


def test_libraries_that_hide_a_full_disk_are_understood():
    with pytest.raises(OSError, match="No space left") as caught, naming(Path("/x")):
        raise ValueError("RESOURCE_EXHAUSTED: ... No space left on device [OS error]")
    assert caught.value.filename == "/x"


@pytest.mark.parametrize("end", [">&-", "| true", "| head -1", "> /dev/full", "2>&-"])
def test_output_that_nobody_hears_is_no_error(end, tmp_path):
    command = f"{sys.executable} -m caejax help {end}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clone_that_is_not_installed_has_its_version(monkeypatch):
    def missing(name):
        raise folder.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(folder.importlib.metadata, "version", missing)
    packages = folder.environment()["packages"]
    assert packages["caejax"] == caejax.__version__
    assert packages["flax"] is None
