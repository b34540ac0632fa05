"""The command line: `python -m caejax.main --config=FILE --workdir=DIR`.

Modes: `run` trains one model, or the whole sweep if the config defines one, and
goes on where an earlier command was stopped; `eval` measures a trained model
again, models at other noise levels, or what to compare them with; `report` draws
figures and tables anew from the files in the folder; `show` prints what would be run
and, with --calibrate, about how long it takes; `slurm` writes a batch script of Slurm
that does it on a cluster.
"""

from caejax.runtime import stopping

_STOPPED = "interrupted; the same command goes on where this one was stopped"
if __name__ == "__main__":
    stopping.listen_to_the_end(
        _STOPPED
    )  # before libraries are imported, which takes a while

import importlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402

from absl import app, flags, logging  # noqa: E402

from caejax.commands.options import (  # noqa: E402
    Options,
    Processes,
    WholeNumber,
    needed_config,
    needed_workdir,
)
from caejax.config import command_line  # noqa: E402
from caejax.config.load import load_config  # noqa: E402
from caejax.errors import CaejaxError, print_error  # noqa: E402
from caejax.files import locks  # noqa: E402
from caejax.files.paths import expand_folder  # noqa: E402

MODES = ("run", "eval", "report", "show", "slurm")

_CONFIG = flags.DEFINE_string(
    "config", None, "Config file; --config.section.field=value overrides a field."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run or sweep.")
_CORES = flags.DEFINE(
    WholeNumber(lower_bound=0, upper_bound=1024),
    "cores",
    0,
    "CPU cores that share each batch; 0 is all. By processes, each run has one.",
)
_CACHE = flags.DEFINE_bool(
    "cache", True, "Keep compiled programs in the user's cache folder."
)
_LOCKS = flags.DEFINE_bool(
    "locks",
    True,
    "Lock runs against other commands; --nolocks on file systems that cannot, for a "
    "folder that no other command uses.",
)
_CALIBRATE = flags.DEFINE_bool(
    "calibrate",
    None,
    "With --mode=show: train two short runs, to tell the time. --mode=slurm does so "
    "unless told --nocalibrate.",
)
_REFERENCES = flags.DEFINE_list(
    "references",
    [],
    "With --mode=eval: measure these on the noisy test images: all, or some of input, "
    "pca, median, nlm, tv, wavelet, bm3d, posterior.",
)
_REFERENCE_IMAGES = flags.DEFINE(
    WholeNumber(lower_bound=0),
    "reference-images",
    0,
    "Test images that median, nlm, tv, wavelet and bm3d are given; 0 is all.",
)
_LEVELS = flags.DEFINE_list(
    "levels", [], "With --mode=eval: measure trained models at these noise levels."
)
_DATA_DIR = flags.DEFINE_string(
    "data-dir",
    None,
    "With --mode=eval: where the data of the run or sweep are now, if they were moved.",
)
_ALL = flags.DEFINE_bool(
    "all", False, "With --mode=eval: print all values, not those that say most."
)
_JOBS = flags.DEFINE(
    WholeNumber(lower_bound=0, upper_bound=10_000),
    "jobs",
    0,
    "With --mode=slurm: jobs that share a sweep, or machines of one; 0: by the "
    "calibration.",
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Do one run by several processes, on all of their devices; each is this command. "
    "Slurm, TPU pods and MPI say which there are, else the next three do.",
)
_ADDRESS = flags.DEFINE_string(
    "coordinator_address", "", "With --distributed: HOST:PORT of process 0."
)
_COUNT = flags.DEFINE(
    WholeNumber(lower_bound=1),
    "num_processes",
    None,
    "With --distributed: the number of processes.",
)
_INDEX = flags.DEFINE(
    WholeNumber(lower_bound=0),
    "process_id",
    None,
    "With --distributed: this process's number, from 0 on.",
)
_MODE = flags.DEFINE_enum("mode", "run", MODES, "What to do.")


def main(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit code."""
    logging.set_verbosity(logging.WARNING)  # of what comes before the start-up
    return stopping.run_command(lambda: _main(argv), _STOPPED)


def _main(argv):
    argv, overrides = command_line.split(argv)
    if len(argv) > 1:
        raise CaejaxError(
            f"{argv[1]!r} is not a flag; flags look like --config=FILE, and what has "
            "spaces is quoted"
        )
    for flag in (_REFERENCES, _REFERENCE_IMAGES, _LEVELS, _DATA_DIR, _ALL):
        if flag.value and _MODE.value != "eval":
            raise CaejaxError(f"--{flag.name} is for `caejax eval` (--mode=eval)")
    if _REFERENCE_IMAGES.value and not _REFERENCES.value:
        raise CaejaxError("--reference-images is for --references; add that")
    if _CALIBRATE.value and _MODE.value not in ("show", "slurm"):
        raise CaejaxError("--calibrate is for `caejax show` (--mode=show)")
    if not _LOCKS.value:
        os.environ[locks.VARIABLE] = "1"  # for worker processes, too
    if _JOBS.value and _MODE.value != "slurm":
        raise CaejaxError("--jobs is for `caejax slurm` (--mode=slurm)")
    options = Options(
        config=_config(_CONFIG.value, overrides),
        workdir=expand_folder(_WORKDIR.value, "--workdir") if _WORKDIR.value else None,
        cores=_CORES.value,
        cache=_CACHE.value,
        calibrate=_CALIBRATE.value,
        references=_REFERENCES.value,
        reference_images=_REFERENCE_IMAGES.value,
        levels=_LEVELS.value,
        data_dir=_DATA_DIR.value or "",
        all_values=_ALL.value,
        jobs=_JOBS.value,
        processes=_processes(),
    )
    # What is missing is said before libraries are imported, which takes a while, and
    # one mode does not wait for those of another.
    if _MODE.value in ("run", "show", "slurm"):
        needed_config(options)
    if _MODE.value != "show":
        needed_workdir(options)
    return importlib.import_module(f"caejax.commands.{_MODE.value}").main(options)


def _processes():
    given = _ADDRESS.value, _COUNT.value, _INDEX.value
    if not _DISTRIBUTED.value:
        if any(value not in ("", None) for value in given):
            raise CaejaxError(
                "--coordinator_address, --num_processes and --process_id are for "
                "--distributed; add that"
            )
        return None
    if _MODE.value not in ("run", "slurm"):
        raise CaejaxError("--distributed is for --mode=run; leave it out")
    return Processes(*given)


def _config(file, overrides):
    if file:
        config = load_config(file)
        command_line.apply(config, overrides, file)
        command_line.check_counts(config, overrides, _MODE.value)
        return config
    if overrides:
        raise CaejaxError(f"{overrides[0]} changes a config; add --config=FILE")
    return None


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses flags, but for those of config fields; a mistake is one line, exit 1.

    Returns:
      What is left: the program's name, words that are no flags, and config fields.
    """
    try:
        argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
        argv, overrides = command_line.split(argv)
        return flags.FLAGS(argv) + overrides
    except flags.Error as error:
        sys.exit(print_error(str(error).splitlines()[0]))


def run() -> None:
    """Entry point of the command line."""
    app.run(main, flags_parser=parse_flags)


if __name__ == "__main__":
    run()
