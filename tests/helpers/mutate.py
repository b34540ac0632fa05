"""Files damaged at random, and commands that must not end in a traceback.

`python -m helpers.mutate 400` in the folder of tests does so many at length.
"""

import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from caejax import apply, main
from caejax.config import run_id
from caejax.errors import CaejaxError, describe
from caejax.report import report
from caejax.report.report import report as write_report
from caejax.sweep.run import run_sweep
from helpers import sweep_jobs

CONFIG_FILE = """
from helpers.mutate import {name} as get_config
"""


def run_config():
    """A run of one epoch."""
    config = sweep_config()
    config.sweep = {}
    return config


def sweep_config():
    """A sweep of two runs, of which the first is that of `run_config`."""
    return sweep_jobs.sweep_config(seed=sweep_jobs.SEEDS)


def make_folders(folder: Path, sweep: Path) -> None:
    """A finished run, one that is not, a sweep, and config files.

    Args:
      folder: the folder to make them in.
      sweep: a folder in which `sweep_config` has been done.
    """
    for name in ("run_config", "sweep_config"):
        (folder / f"{name}.py").write_text(CONFIG_FILE.format(name=name))
    shutil.copytree(sweep, folder / "sweep")
    run = sweep / "runs" / run_id(run_config())
    for name in ("finished", "begun"):
        shutil.copytree(run, folder / name)
    for name in ("summary.json", "samples.npz"):
        (folder / "begun" / name).unlink()


def measure(folder: Path) -> None:
    """Makes the tables and figures of what is finished."""
    for flag in ("--levels=0.1", "--references=input"):
        call(["main", "--mode=eval", f"--workdir={folder / 'sweep'}", flag])
        call(["main", "--mode=eval", f"--workdir={folder / 'finished'}", flag])
    for name in ("finished", "sweep"):
        write_report(folder / name)


# Ways to damage a file: damage(path, rng).


def _delete(path, rng):
    path.unlink()


def _empty(path, rng):
    path.write_bytes(b"")


def _cut(path, rng):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(max(1, len(data)))])


def _flip(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 3, 20))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _no_text(path, rng):
    data = path.read_bytes()
    place = rng.randrange(len(data) + 1)
    path.write_bytes(data[:place] + rng.choice((b"\xff\xfe", b"\0\0")) + data[place:])


def _other_json(path, rng):
    texts = ("[]", "3", "null", '"x"', "{}", "[[1, 2]]", "NaN", '{"a": {"b": []}}')
    path.write_text(rng.choice((*texts, "[" * 100_000)))


def _folder(path, rng):
    path.unlink()
    path.mkdir()


def _line(path, rng):
    """Half a line, or one of another kind, in the midst."""
    lines = path.read_bytes().split(b"\n")
    i = rng.randrange(len(lines))
    cut = lines[i][: len(lines[i]) // 2]
    lines[i] = rng.choice((cut, b"7", b"{}", lines[i] + b",5", b'{"step": "x"}'))
    path.write_bytes(b"\n".join(lines))


def _value(path, rng):
    """Another value somewhere in JSON, another cell in a table."""
    text = path.read_text()
    if path.suffix == ".csv":
        cells = text.split(",")
        cells[rng.randrange(len(cells))] = rng.choice(("", "x", "-1", "nan", '"'))
        path.write_text(",".join(cells))
        return
    values = json.loads(text.split("\n")[0] if path.suffix == ".jsonl" else text)
    holder = values
    while True:
        name = rng.choice(list(holder))
        if not (isinstance(holder[name], dict) and holder[name] and rng.random() < 0.8):
            break
        holder = holder[name]
    if rng.random() < 0.3:
        del holder[name]
    else:
        choices = (None, "x", [], {}, -1, 1e30, float("nan"), True, [None], 10**400)
        holder[name] = rng.choice(choices)
    path.write_text(json.dumps(values) + "\n")


def _archive(path, rng):
    """Other arrays."""
    with np.load(path) as archive:
        arrays = dict(archive)
    name = rng.choice(list(arrays))
    other = rng.choice(
        (
            np.zeros((0, 3)),
            np.array("x"),
            np.array([{}], dtype=object),
            arrays[name][:1],
            np.full_like(arrays[name], np.nan),
            None,
        )
    )
    arrays.pop(name)
    np.savez(path, **arrays if other is None else {**arrays, name: other})


def _no_arrays(path, rng):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("target.npy", b"no array")


_ANY = (_delete, _empty, _cut, _flip, _no_text, _folder)
_BY_SUFFIX = {
    ".json": (_other_json, _value, _value, _value),
    ".jsonl": (_other_json, _line, _line, _value),
    ".csv": (_line, _line, _value, _value),
    ".npz": (_archive, _archive, _archive, _no_arrays),
    "": (_other_json,),
}

_READ = (
    ["main", "--mode=report"],
    ["main", "--mode=eval"],
    ["main", "--mode=eval", "--levels=0.1,0.3"],
    ["main", "--mode=eval", "--references=input"],
)
_APPLY = (["denoise"], ["encode"], ["sample"], ["neighbours"], ["interpolate"])
_COMMANDS = {
    "finished": (["main", "--mode=run", "--config=run_config"], *_READ, *_APPLY),
    "begun": (["main", "--mode=run", "--config=run_config"], *_READ[:2], *_APPLY[:1]),
    "sweep": (["main", "--mode=run", "--config=sweep_config"], *_READ),
}
# What commands write, besides what --mode=run makes again.
_WRITTEN = ("figures", "tables", "apply", "report.html", "tensorboard", "damaged")
_WRITTEN += ("results.csv", "timings.csv", "levels.csv", "references.csv")


class Case(NamedTuple):
    """A damaged file and a command that meets it."""

    name: str  # of the folder
    file: str
    damage: Callable
    words: list[str]
    seed: int

    def __str__(self):
        return f"{self.damage.__name__} {self.name}/{self.file}: {' '.join(self.words)}"


def cases(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Draws cases, all kinds of files equally often."""
    rng = random.Random(seed)
    for _ in range(count):
        name = rng.choice(("finished", "begun", "sweep"))
        files = [p for p in sorted((folder / name).rglob("*")) if _is_data(p)]
        kinds = sorted({_kind(path) for path in files})
        kind = rng.choice(kinds)
        path = rng.choice([path for path in files if _kind(path) == kind])
        damage = rng.choice(_ANY + _BY_SUFFIX.get(path.suffix, ()))
        words = rng.choice(_COMMANDS[name])
        file = path.relative_to(folder / name).as_posix()
        yield Case(name, file, damage, words, rng.randrange(2**31))


def _is_data(path):
    outputs = {"figures", "tables", "apply", "tensorboard", "report.html"}
    return path.is_file() and not outputs & set(path.parts) and path.name[0] != "."


def _kind(path):
    parts = path.parts
    return "checkpoint" if "checkpoints" in parts else path.name


class Outcome(NamedTuple):
    """What a command came to.

    Attributes:
      code: its exit code; None where it ended in a traceback.
      error: the error's line, or the traceback's last.
      output: what it printed to the error output.
      changed: files that changed and were neither damaged nor the command's to write.
    """

    code: int | None
    error: str
    output: str
    changed: list[str]


def try_case(case: Case, folder: Path, scratch: Path) -> Outcome:
    """Damages a copy of a folder and calls the command on it."""
    workdir = scratch / case.name
    shutil.rmtree(workdir, ignore_errors=True)
    shutil.copytree(folder / case.name, workdir)
    case.damage(workdir / case.file, random.Random(case.seed))
    before = _contents(workdir)
    words = [word.replace("--config=", f"--config={folder}/") for word in case.words]
    words = [w + ".py" if w.startswith("--config=") else w for w in words]
    words.append(f"--workdir={workdir}" if words[0] == "main" else f"--run={workdir}")
    code, error, output = call(words)
    after = _contents(workdir)
    trains = any("run_config" in w or "sweep_config" in w for w in words)
    changed = [
        file
        for file, data in before.items()
        if file != case.file
        and after.get(file) != data
        and not set(Path(file).parts) & set(_WRITTEN)
        and not (trains and _is_made_again(file, case.name, case.file))
    ]
    return Outcome(code, error, output, changed)


def _is_made_again(file, name, damaged):
    if file == "environment.json" and damaged == "config.json":
        return True
    if name == "begun":
        return not file.endswith(("config.json", "environment.json"))
    # Speeds and times; and what is damaged is kept elsewhere.
    return file.endswith(("metrics.jsonl", "summary.json")) or "checkpoints" in file


def _contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


def call(words: list[str]) -> tuple[int | None, str, str]:
    """Calls a command in this process, without what catches all that it raises."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        try:
            return _call(words), "", stderr.getvalue()
        except (CaejaxError, OSError) as error:
            return 1, describe(error), stderr.getvalue()
        except SystemExit as stop:
            return stop.code, "", stderr.getvalue()
        except Exception as error:
            where = error.__traceback__
            while where.tb_next:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}"
            line = f"{type(error).__name__}: {error} at {place}"
            return None, line, stderr.getvalue()


def _call(words):
    if words[0] == "main":
        flags.FLAGS.unparse_flags()
        return main._main(main.parse_flags(["caejax", *words[1:]]))
    return apply._apply(apply.parse([*words, "--nocache"]))


@contextlib.contextmanager
def coarse_figures() -> Iterator[None]:
    """Reports draw as ever, but write small files."""
    import matplotlib.pyplot as plt

    def save(figure, path, **_):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=20)
        path.with_name(f"{path.name}.pdf").touch()  # which pages hold
        plt.close(figure)

    before, report.save = report.save, save
    try:
        yield
    finally:
        report.save = before


def _main(count: int, seed: int) -> int:
    """Tries so many cases and prints what came of them."""
    bad = 0
    with tempfile.TemporaryDirectory() as name, coarse_figures():
        folder, scratch = Path(name) / "made", Path(name) / "scratch"
        folder.mkdir()
        run_sweep(sweep_config(), Path(name) / "sweep")
        make_folders(folder, Path(name) / "sweep")
        measure(folder)
        for i, case in enumerate(cases(folder, count, seed)):
            outcome = try_case(case, folder, scratch)
            wrong = outcome.code not in (0, 1) or "Traceback" in outcome.output
            bad += bool(wrong or outcome.changed)
            mark = "BAD" if wrong else "CHANGED" if outcome.changed else "ok"
            print(f"{i} {mark} {outcome.code} {case}", flush=True)
            for line in (outcome.error, outcome.output, *outcome.changed):
                if line:
                    print(f"    {line.strip()[:600]}".replace(name, ""), flush=True)
    print(f"{bad} of {count} were wrong")
    return int(bad > 0)


if __name__ == "__main__":
    os.environ["CAEJAX_TRACEBACK"] = "1"  # to be counted
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0))
