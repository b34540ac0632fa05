"""What of a sweep's runs can be made good again before the sweep goes on."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from caejax import config as config_lib
from caejax.config.stored import read_stored
from caejax.errors import CaejaxError
from caejax.files.atomic import move_aside, write_atomically
from caejax.files.finished import lacks_samples
from caejax.sweep.spec import SweepRun
from caejax.terminal.notes import note
from caejax.training.folder import is_started


def mend(runs: Sequence[SweepRun], folder: Path) -> None:
    """Writes damaged configs again, and makes runs with damaged pictures unfinished.

    A run's folder is named after its config, so that it is known. What else is damaged
    is noticed by the run itself, whose error is then its own.

    Args:
      runs: the sweep's runs, of which no other command does one.
      folder: the folder that holds a folder for each run.
    """
    for run in runs:
        workdir = folder / run.id
        # What cannot be mended here is that run's error when it is done.
        with contextlib.suppress(OSError):
            if is_started(workdir):
                _mend_config(run, folder)
            if (workdir / "summary.json").is_file() and lacks_samples(workdir):
                # Not done, then, before both are there.
                move_aside(workdir / "summary.json", workdir / "damaged")
                note(f"{workdir / 'samples.npz'} is damaged; it is made again")


def _mend_config(run, folder):
    path = folder / run.id / "config.json"
    try:
        read_stored(path)
        return
    except FileNotFoundError:
        what = f"{path} is missing"
    except CaejaxError as error:
        what = str(error).split(";")[0]
    config = run.config.copy_and_resolve_references()
    if config_lib.run_id(config) != run.id:  # its data have been moved
        return
    if run.after:
        config.train.start_from = str((folder / run.after).resolve())
    write_atomically(path, config_lib.to_json(config) + "\n")
    note(f"{what}; it is written again")
