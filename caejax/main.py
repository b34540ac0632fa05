"""The command line: `caejax MODE`, or as a module `python -m caejax.main --mode=MODE`.

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
import re  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402

from absl import app, flags, logging  # noqa: E402

from caejax.commands import flag_table, mistakes, mode_help  # noqa: E402
from caejax.commands.modes import MODES  # noqa: E402
from caejax.commands.options import (  # noqa: E402
    Options,
    Processes,
    needed_config,
    needed_workdir,
)
from caejax.config import command_line  # noqa: E402
from caejax.config.load import load_config  # noqa: E402
from caejax.errors import CaejaxError, print_error  # noqa: E402
from caejax.files import locks  # noqa: E402
from caejax.files.paths import expand_folder  # noqa: E402


def main(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit code."""
    logging.set_verbosity(logging.WARNING)  # of what comes before the start-up
    return stopping.run_command(lambda: _main(argv), _STOPPED)


def _main(argv):
    mode = flag_table.MODE.value
    argv, overrides = command_line.split(argv)
    if len(argv) > 1:
        raise CaejaxError(mistakes.no_flag(argv[1:], mode, _called(argv[0], mode)))
    mistakes.check_mode(mode)
    if flag_table.REFERENCE_IMAGES.value and not flag_table.REFERENCES.value:
        raise CaejaxError("--reference-images is for --references; add that")
    if not flag_table.LOCKS.value:
        os.environ[locks.VARIABLE] = "1"  # for worker processes, too
    workdir = flag_table.WORKDIR.value
    options = Options(
        config=_config(flag_table.CONFIG.value, overrides),
        workdir=expand_folder(workdir, "--workdir") if workdir else None,
        cores=flag_table.CORES.value,
        cache=flag_table.CACHE.value,
        calibrate=flag_table.CALIBRATE.value,
        references=flag_table.REFERENCES.value,
        reference_images=flag_table.REFERENCE_IMAGES.value,
        levels=flag_table.LEVELS.value,
        data_dir=flag_table.DATA_DIR.value or "",
        all_values=flag_table.ALL.value,
        jobs=flag_table.JOBS.value,
        processes=_processes(),
    )
    # What is missing is said before libraries are imported, which takes a while, and
    # one mode does not wait for those of another.
    if mode in ("run", "show", "slurm"):
        needed_config(options)
    if mode != "show":
        needed_workdir(options)
    return importlib.import_module(f"caejax.commands.{mode}").main(options)


def _processes():
    given = flag_table.ADDRESS.value, flag_table.COUNT.value, flag_table.INDEX.value
    if not flag_table.DISTRIBUTED.value:
        if any(value not in ("", None) for value in given):
            raise CaejaxError(
                "--coordinator_address, --num_processes and --process_id are for "
                "--distributed; add that"
            )
        return None
    return Processes(*given)


def _config(file, overrides):
    mode = flag_table.MODE.value
    if not file or "config" in flag_table.ignored(mode):
        command_line.check_mode(overrides, mode)
        if overrides:
            raise CaejaxError(f"{overrides[0]} changes a config; add --config=FILE")
        return None
    config = load_config(file)
    command_line.apply(config, overrides, file)
    command_line.check_counts(config, overrides, mode)
    return config


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses flags, but for those of config fields; a mistake is one line, exit 1.

    Returns:
      What is left: the program's name, words that are no flags, and config fields.
    """
    try:
        argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
        if set(mode_help.WORDS) & set(argv[1:]):
            print(_help(argv))
            sys.exit(0)
        argv, overrides = command_line.split(argv)
        mistakes.check_values(argv)
        return flags.FLAGS(argv) + overrides
    except flags.UnrecognizedFlagError as error:
        words, mode = argv[argv.index(error.flagvalue) :], _mode_in(argv) or "run"
        sys.exit(print_error(mistakes.no_flag(words, mode, _called(argv[0], mode))))
    except (CaejaxError, flags.Error, ValueError) as error:
        sys.exit(print_error(mistakes.bad_value(error)))


_PROGRAM = "python -m caejax.main"


def _mode_in(words):
    """The mode that words of the command line name; "" if they name none."""
    found = [w.partition("=")[2] for w in words if re.match("--?mode=", w)]
    return found[-1] if found and found[-1] in MODES else ""


def _called(program, mode):
    """How a mode is called: by the console script, or as a program of its own."""
    return program if program.endswith(f" {mode}") else f"{_PROGRAM} --mode={mode}"


def _help(argv):
    if mode := _mode_in(argv):
        return mode_help.of_mode(_called(argv[0], mode), mode)
    return mode_help.of_all(_PROGRAM, __doc__)


def run() -> None:
    """Entry point of the command line."""
    app.run(main, flags_parser=parse_flags)


if __name__ == "__main__":
    run()
