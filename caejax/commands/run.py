"""`run`: trains one model or a whole sweep, or what is left to do of it."""

from caejax.commands.options import Options, needed_config, needed_workdir
from caejax.errors import CaejaxError
from caejax.files.locks import holding
from caejax.files.reach import present
from caejax.report.report import report
from caejax.runtime import stopping
from caejax.runtime.startup import start
from caejax.sweep.executors import start_for
from caejax.sweep.run import run_sweep
from caejax.training.loop import train


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    config, workdir = needed_config(options), needed_workdir(options)
    if config.sweep:
        start_for(config, cores=options.cores, cache=options.cache)
        return _sweep(config, workdir)
    start(config.train.batch_size, cores=options.cores, cache=options.cache)
    return _train(config, workdir)


def _train(config, workdir):
    with holding(workdir / ".lock", wait=False) as mine:
        if not mine:
            raise CaejaxError(
                f"another command trains in {workdir}; wait for it or choose "
                "another --workdir"
            )
        with present(workdir, stopping.stop_because):
            train(config, workdir)
    report(workdir)
    return 0


def _sweep(config, workdir):
    with present(workdir, stopping.stop_because):
        rows = run_sweep(config, workdir)
    failed = [row["run_id"] for row in rows if row["status"] != "done"]
    if len(failed) < len(rows):
        report(workdir)
    if failed:
        raise CaejaxError(
            f"{len(failed)} of {len(rows)} runs failed: {', '.join(failed)}; "
            f"{workdir / 'results.csv'} says why"
        )
    return 0
