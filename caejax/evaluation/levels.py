"""Trained models at other levels of noise than they were trained with."""

import math
from collections.abc import Sequence

from caejax import config as config_lib
from caejax.config.check import check
from caejax.corruptions import CORRUPTIONS
from caejax.errors import CaejaxError
from caejax.evaluation.runs import FinishedRun, Row, Table, each, finished_runs
from caejax.files.paths import Written, expand
from caejax.metrics.evaluator import evaluate
from caejax.metrics.noise import noise_key
from caejax.terminal.lines import tell
from caejax.terminal.numbers import number
from caejax.training import recorded
from caejax.training.images import load_images
from caejax.training.restore import restore
from caejax.training.task import subject_of, task_from_config


def parse_levels(words: Sequence[str]) -> list[float]:
    """Reads noise levels.

    Raises:
      CaejaxError: a word is no noise level.
    """
    return [_level(word) for word in words]


def _level(word):
    try:
        level = number(word)
    except ValueError:
        level = math.nan
    if not 0 <= level < math.inf:
        raise CaejaxError(
            f"--levels has {word!r}, which is no level; give numbers from 0 on, "
            "--levels=0,0.1,0.5 for instance"
        )
    return level


def measure_levels(workdir: Written, levels: Sequence[float]) -> list[Row]:
    """Measures every finished run at every level, on the test split.

    The noise is that of the run's own test, but for its level. Runs without
    corruption have no level and are left out.

    Args:
      workdir: the folder of a run or a sweep. levels.csv in it gets a row for each run
        and level; rows already there are kept, unless no finished run is theirs.
      levels: the levels to test at, each of a run's own corruption.

    Runs that cannot be measured are left out, each with a note.

    Returns:
      All rows of levels.csv: run_id, the swept values, seed, corruption.name,
      train_level, test_level and the metrics of that occasion as test/psnr, ….

    Raises:
      CaejaxError: no finished run, none that has a level, or a level that one's
        corruption cannot have.
    """
    workdir = expand(workdir, "workdir")
    runs = finished_runs(workdir)
    names = sorted({run.config.corruption.name for run in runs})
    runs = [run for run in runs if CORRUPTIONS[run.config.corruption.name].level]
    if not runs:
        raise CaejaxError(
            f"the runs of {workdir} have config.corruption.name "
            f"{' and '.join(map(repr, names))}, which has no level; leave out --levels"
        )
    for run in runs:
        for level in levels:
            _check_level(run, level)
    ids = {run.id for run in runs}
    table = Table(
        workdir / "levels.csv",
        key=lambda row: (row["run_id"], row["test_level"]),
        current=lambda row: row["run_id"] in ids,
        columns=("run_id", "corruption.name"),
        numbers=("train_level", "test_level", "test/psnr"),
    )

    def measure(run):
        rows = [_planned(run, level) for level in levels]
        _measure(run, [row for row in rows if table.find(row) is None], table)

    each(runs, lambda run: f"run {run.id}", measure)
    return table.rows()


def _check_level(run, level):
    config = config_lib.one_run(run.config)
    config.corruption.level = level
    check(config)


def _planned(run, level):
    return {
        "run_id": run.id,
        **run.values,
        "seed": run.config.seed,
        "corruption.name": run.config.corruption.name,
        "train_level": run.config.corruption.level,
        "test_level": level,
    }


def _measure(run: FinishedRun, rows: Sequence[Row], table: Table) -> None:
    if not rows:
        return
    config = run.config
    subject = subject_of(task_from_config(config, total_steps=0))
    images, params = (
        load_images(config, recorded.read(run.workdir))["test"],
        restore(run.workdir, config, exact=True).eval_params,
    )
    key = noise_key(config.seed, "test")
    for row in rows:
        level = row["test_level"]
        values = evaluate(subject, params, images, key, level, "level").values
        table.add(row | {f"test/{name}": value for name, value in values.items()})
        psnr = f"psnr {values['psnr']:.2f} dB"
        tell(f"{run.id}  trained at {row['train_level']}  at {level}  {psnr}")
