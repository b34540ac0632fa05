"""The command line: `python -m caejax.main --config=FILE --workdir=DIR`.

Modes: `run` trains one model, or the whole sweep if the config defines one, and
goes on where an earlier command was stopped; `eval` measures a trained model
again, models at other noise levels, or what to compare them with; `report` draws
figures and tables anew from the files in the folder; `show` prints what would be run
and, for a sweep, about how long it takes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from caejax.errors import CaejaxError, exit_code, print_error
from caejax.locks import holding

MODES = ("run", "eval", "report", "show")

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file; --config.section.field=value overrides a field."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run or sweep.")
_CORES = flags.DEFINE_integer(
    "cores",
    0,
    "CPU cores that share each batch; 0 is all. By processes, each run has one.",
    lower_bound=0,
)
_CACHE = flags.DEFINE_bool(
    "cache", True, "Keep compiled programs in the user's cache folder."
)
_CALIBRATE = flags.DEFINE_bool(
    "calibrate", None, "Estimate the time in --mode=show; by default for sweeps."
)
_REFERENCES = flags.DEFINE_list(
    "references",
    [],
    "With --mode=eval: measure these on the noisy test images: all, or some of input, "
    "pca, median, nlm, tv, wavelet, posterior.",
)
_REFERENCE_IMAGES = flags.DEFINE_integer(
    "reference-images",
    1000,
    "Test images that median, nlm, tv and wavelet are given; 0 is all.",
    lower_bound=0,
)
_LEVELS = flags.DEFINE_list(
    "levels", [], "With --mode=eval: measure trained models at these noise levels."
)
_MODE = flags.DEFINE_enum("mode", "run", MODES, "What to do.")


def main(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit code."""
    logging.set_verbosity(logging.WARNING)  # orbax tells of every file
    stopped = "interrupted; the same command goes on where this one was stopped"
    return exit_code(lambda: _main(argv), stopped)


def _main(argv):
    if len(argv) > 1:
        raise CaejaxError(f"{argv[1]!r} is not a flag; flags look like --config=FILE")
    for flag in (_REFERENCES, _LEVELS):
        if flag.value and _MODE.value != "eval":
            raise CaejaxError(f"--{flag.name} is for --mode=eval; add that")
    return _MODE_FUNCTIONS[_MODE.value]()


def _run() -> int:
    config, workdir = _config(), _workdir()
    from caejax.train.devices import use_cores

    _use_cache()
    # Workers take a core each; this process only waits for them.
    waits = config.sweep and config.executor.name == "processes"
    use_cores(config.train.batch_size, 1 if waits else _CORES.value)
    if not config.sweep:
        from caejax.train.loop import train

        with holding(workdir / ".lock", wait=False) as mine:
            if not mine:
                raise CaejaxError(
                    f"another command trains in {workdir}; wait for it or choose "
                    "another --workdir"
                )
            train(config, workdir)
        return _report()
    from caejax.sweep.run import run_sweep

    rows = run_sweep(config, workdir)
    failed = [row["run_id"] for row in rows if row["status"] != "done"]
    if len(failed) < len(rows):
        _report()
    if failed:
        raise CaejaxError(
            f"{len(failed)} of {len(rows)} runs failed: {', '.join(failed)}; "
            f"{workdir / 'results.csv'} says why"
        )
    return 0


def _eval() -> int:
    if _REFERENCES.value or _LEVELS.value:
        return _eval_more()
    from caejax.report import tables
    from caejax.train.loop import evaluate_again

    _use_cache()
    figures = evaluate_again(_CONFIG.value, _workdir())
    tables.print_figures(figures)
    return 0


def _eval_more() -> int:
    """Measures references, and models at other levels, of a run or a sweep."""
    from caejax.eval.levels import measure_levels, parse_levels
    from caejax.eval.references import measure_references, parse_references
    from caejax.report import references as shown

    names, levels = parse_references(_REFERENCES.value), parse_levels(_LEVELS.value)
    if _CONFIG.value is not None:
        raise CaejaxError(
            "--references and --levels take data and corruption from the runs; leave "
            "out --config"
        )
    workdir = _workdir()
    _use_cache()
    if names:
        rows = measure_references(workdir, names, _REFERENCE_IMAGES.value)
        shown.print_references(rows)
    if levels:
        shown.print_levels(measure_levels(workdir, levels))
    print(f"--mode=report --workdir={workdir} puts it into tables and figures")
    return 0


def _report() -> int:
    from caejax.report import report

    report.report(_workdir())
    return 0


def _show() -> int:
    config = _config()
    from caejax.show import show
    from caejax.sweep.workers import work_as_one
    from caejax.train.devices import use_cores

    workers = 1
    if config.sweep and config.executor.name == "processes":
        workers = work_as_one(config.executor.workers)
    else:
        use_cores(config.train.batch_size, _CORES.value)
    show(config, workers, _CALIBRATE.value)
    return 0


_MODE_FUNCTIONS = {"run": _run, "eval": _eval, "report": _report, "show": _show}


def _config():
    if _CONFIG.value is None:
        raise CaejaxError("--config is missing; try --config=configs/quickstart.py")
    return _CONFIG.value


def _use_cache():
    from caejax.compilation import use_cache

    if _CACHE.value:
        use_cache()


def _workdir() -> Path:
    if not _WORKDIR.value:
        raise CaejaxError("--workdir is missing; try --workdir=runs/quickstart")
    return Path(_WORKDIR.value)


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses flags; a mistake in them or in the config file is one line, exit 1."""
    logging.set_verbosity(logging.ERROR)  # what matters is said below
    try:
        rest = flags.FLAGS(argv)
        if flags.FLAGS["config"].present:
            # A file that could not be read is an error only once it is used.
            _ = _CONFIG.value.seed
        return rest
    except Exception as error:
        # Imports JAX, which a report must not wait for.
        from caejax.flag_errors import flag_error

        sys.exit(print_error(flag_error(error, argv)))


def run() -> None:
    """Entry point of the command line."""
    app.run(main, flags_parser=parse_flags)


if __name__ == "__main__":
    run()
