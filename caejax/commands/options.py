"""What the command line says, as plain data, and its numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.terminal.numbers import whole


class WholeNumber(flags.IntegerParser):
    """A flag's whole number, written as such: neither 1_0 nor 0x10."""

    def convert(self, argument: int | str) -> int:
        """Reads it; a ValueError if it is none."""
        return whole(argument) if isinstance(argument, str) else argument


class Processes(NamedTuple):
    """Which processes do one run.

    Attributes:
      address: HOST:PORT of process 0; "" leaves all to the scheduler.
      count: the number of processes.
      index: this process's number.
    """

    address: str = ""
    count: int | None = None
    index: int | None = None


class Options(NamedTuple):
    """The flags of `caejax.main`.

    Attributes:
      config: the config of a run or a sweep; None where none is given.
      workdir: the folder of the run or sweep; None where none is given.
      cores: the number of a CPU's cores that share each batch; 0 for all.
      cache: whether to keep compiled programs for the next command.
      calibrate: whether `show` and `slurm` estimate the time; None for what they do by
        themselves, `slurm` alone does.
      references: the names of the references, for `eval`.
      reference_images: the number of test images that slow references are given; 0
        for all.
      levels: the noise levels as text, for `eval`.
      jobs: how many jobs, or machines of one, a batch script asks for; 0 leaves that
        to a calibration.
      processes: with which other processes this one does a run; None for none.
      data_dir: where the data are now that were moved, for `eval`; "" if nowhere else.
      all_values: whether `eval` prints all values, not those that say most, and `show`
        all fields of the config.
    """

    config: ConfigDict | None = None
    workdir: Path | None = None
    cores: int = 0
    cache: bool = True
    calibrate: bool | None = None
    references: Sequence[str] = ()
    reference_images: int = 0
    levels: Sequence[str] = ()
    data_dir: str = ""
    all_values: bool = False
    jobs: int = 0
    processes: Processes | None = None


def needed_config(options: Options) -> ConfigDict:
    """The config.

    Raises:
      CaejaxError: none is given, or it says of a sweep what it does not have.
    """
    if options.config is None:
        raise CaejaxError("--config is missing; try --config=quickstart")
    for name in ("tune", "sweep_exclude"):
        if options.config[name] and not options.config.sweep:
            raise CaejaxError(
                f"config.{name} is of a sweep, and config.sweep has no axes; add one, "
                f"or leave config.{name} out"
            )
    return options.config


def needed_workdir(options: Options) -> Path:
    """The folder.

    Raises:
      CaejaxError: none is given.
    """
    if options.workdir is None:
        raise CaejaxError("--workdir is missing; name a folder, as --workdir=runs/mine")
    return options.workdir
