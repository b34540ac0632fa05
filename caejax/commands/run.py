"""`run`: trains one model or a whole sweep, or what is left of it, and reports."""

import importlib

from caejax.commands.options import Options, needed_config, needed_workdir
from caejax.errors import CaejaxError
from caejax.files.locks import holding
from caejax.files.reach import present
from caejax.report.report import report
from caejax.runtime import stopping, together
from caejax.runtime.startup import start
from caejax.sweep.executors import start_for
from caejax.sweep.run import run_sweep
from caejax.sweep.tune import tuned
from caejax.terminal.lines import tell
from caejax.terminal.notes import note
from caejax.training import across
from caejax.training.loop import take, train


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    config, workdir = needed_config(options), needed_workdir(options)
    if config.references:  # an unknown one is said before the training
        _references(config)
    if options.processes is not None:
        return _distributed(options, config, workdir)
    if config.sweep:
        start_for(config, cores=options.cores, cache=options.cache)
        return _sweep(config, workdir)
    start(config.train.batch_size, cores=options.cores, cache=options.cache)
    return _train(config, workdir)


def _distributed(options, config, workdir):
    """One run by several processes: the first does it, the others take its steps."""
    together.join(*options.processes)
    if together.count() == 1:
        raise CaejaxError(
            "--distributed finds one process only; start several, or leave it out"
        )
    each = max(1, config.train.batch_size // together.count())
    start(each, cores=options.cores, cache=options.cache)
    if together.index():
        try:
            across.check_devices(config)
        except CaejaxError:  # process 0 says it
            return 1
        return across.follow(config, take)
    across.check_devices(config)
    code = 1
    try:
        across.greet(config, workdir)
        code = _train(config, workdir)
    except stopping.Stopped as stop:
        code = 128 + stop.signum
        raise
    finally:
        across.dismiss(code)
    return code


def _train(config, workdir):
    with holding(workdir / ".lock", wait=False) as mine:
        if not mine:
            raise CaejaxError(
                f"another command trains in {workdir}; wait for it or choose "
                "another --workdir"
            )
        with present(workdir, stopping.stop_because):
            train(config, workdir)
    _finish(config, workdir)
    return 0


def _references(config):
    """The module that measures references, which most runs do not wait for; and names.

    Raises:
      CaejaxError: a name is not known, or needs packages that are not there.
    """
    found = importlib.import_module("caejax.evaluation.references")
    return found, found.parse_references(config.references)


def _finish(config, workdir):
    if config.references:
        tell("what to compare with, on the same corrupted test images:")
        try:
            found, names = _references(config)
            found.measure_references(workdir, names)
        except CaejaxError as error:
            note(f"the report goes without config.references: {error}")
    report(workdir)


def _sweep(config, workdir):
    with present(workdir, stopping.stop_because):
        rows = run_sweep(tuned(config, workdir), workdir)
    failed = [row["run_id"] for row in rows if row["status"] != "done"]
    if len(failed) < len(rows):
        _finish(config, workdir)
    if failed:
        raise CaejaxError(
            f"{len(failed)} of {len(rows)} runs failed: {', '.join(failed)}; "
            f"{workdir / 'results.csv'} says why"
        )
    return 0
