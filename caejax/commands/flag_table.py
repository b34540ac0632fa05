"""The flags of `caejax.main`, the modes that each is for, and what help says of it."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from absl import flags

from caejax.commands.modes import MODES
from caejax.commands.options import WholeNumber
from caejax.terminal.lines import broken, help_columns


class _About(NamedTuple):
    """What is told of a flag.

    Attributes:
      value: What stands for its value in help; "" for a switch.
      says: What it is for, where modes do not differ.
      modes: The modes that it is for; with a sentence of its own, or "".
      ignored: The modes that take it all the same, so that a command can be given
        again with another mode.
    """

    value: str
    says: str
    modes: Mapping[str, str]
    ignored: tuple[str, ...]


_ABOUT: dict[str, _About] = {}


def _flag(
    define: Callable[..., Any],
    name: str,
    default: Any,
    value: str,
    says: str,
    *,
    ignored: tuple[str, ...] = (),
    **modes: str,
) -> Any:
    _ABOUT[name] = _About(value, says, modes, ignored)
    return define(name, default, says)


def _whole(most: int | None = None, least: int = 0) -> Callable[..., Any]:
    return partial(flags.DEFINE, WholeNumber(lower_bound=least, upper_bound=most))


CONFIG = _flag(
    flags.DEFINE_string,
    "config",
    None,
    "NAME_OR_FILE",
    "A config that ships with caejax, or a config file.",
    run="",
    eval="Take data and corruption from this config, not from the run.",
    show="",
    slurm="",
    ignored=("report",),
)
WORKDIR = _flag(
    flags.DEFINE_string,
    "workdir",
    None,
    "DIR",
    "Folder of the run or sweep.",
    run="Folder of the run or sweep: a new one, or one to go on with.",
    eval="",
    report="",
    slurm="Folder of the run or sweep, which the script is written to.",
    ignored=("show",),
)
CORES = _flag(
    _whole(1024),
    "cores",
    0,
    "N",
    "CPU cores that share each batch; 0 is all. With the executor processes each "
    "run has one.",
    run="",
    show="",
    slurm="",
    ignored=("eval", "report"),
)
CACHE = _flag(
    flags.DEFINE_bool,
    "cache",
    True,
    "",
    "Keep compiled programs in the user's cache folder.",
    run="",
    eval="",
    slurm="Let the script's command keep compiled programs in the user's cache folder.",
    ignored=("report", "show"),
)
LOCKS = _flag(
    flags.DEFINE_bool,
    "locks",
    True,
    "",
    "Lock runs against other commands; --nolocks on file systems that cannot, for a "
    "folder that no other command uses.",
    run="",
    eval="",
    report="",
    slurm="",
    ignored=("show",),
)
CALIBRATE = _flag(
    flags.DEFINE_bool,
    "calibrate",
    None,
    "",
    "Train two short runs to estimate the time; slurm does so unless --nocalibrate is "
    "given.",
    show="Train two short runs to estimate how long everything takes.",
    slurm="Train two short runs to estimate the time to ask for; done unless "
    "--nocalibrate is given.",
)
REFERENCES = _flag(
    flags.DEFINE_list,
    "references",
    [],
    "NAME,...",
    "Measure these on the noisy test images: all, or some of input, pca, median, nlm, "
    "tv, wavelet, bm3d, posterior.",
    eval="",
)
REFERENCE_IMAGES = _flag(
    _whole(),
    "reference-images",
    0,
    "N",
    "With --references: test images that median, nlm, tv, wavelet and bm3d are given; "
    "0 is all.",
    eval="",
)
LEVELS = _flag(
    flags.DEFINE_list,
    "levels",
    [],
    "X,...",
    "Measure trained models at these noise levels.",
    eval="",
)
DATA_DIR = _flag(
    flags.DEFINE_string,
    "data-dir",
    None,
    "DIR",
    "Where the data of the run or sweep are now, if they were moved.",
    eval="",
)
ALL = _flag(
    flags.DEFINE_bool,
    "all",
    False,
    "",
    "Print all values, not only those that say most.",
    eval="",
    show="Print all fields of the config as JSON, not only those that are not at their "
    "defaults.",
)
JOBS = _flag(
    _whole(10_000),
    "jobs",
    0,
    "N",
    "Jobs that share a sweep, or machines of one job; 0: by the calibration.",
    slurm="",
)
DISTRIBUTED = _flag(
    flags.DEFINE_bool,
    "distributed",
    False,
    "",
    "Do one run by several processes, on all of their devices; each is this command. "
    "Slurm, TPU pods and MPI tell each about the others; elsewhere give "
    "--coordinator_address, --num_processes and --process_id.",
    run="",
    slurm="Let the script's command do one run by several processes, one per machine.",
)
ADDRESS = _flag(
    flags.DEFINE_string,
    "coordinator_address",
    "",
    "HOST:PORT",
    "With --distributed: HOST:PORT of process 0.",
    run="",
    slurm="",
)
COUNT = _flag(
    _whole(least=1),
    "num_processes",
    None,
    "N",
    "With --distributed: the number of processes.",
    run="",
    slurm="",
)
INDEX = _flag(
    _whole(),
    "process_id",
    None,
    "N",
    "With --distributed: this process's number, from 0 on.",
    run="",
    slurm="",
)
MODE = _flag(
    partial(flags.DEFINE, flags.EnumParser(tuple(MODES))),
    "mode",
    "run",
    "MODE",
    "What to do; it is the subcommand of `caejax`.",
)


def names(mode: str = "") -> list[str]:
    """The flags that a mode looks at, or all of them.

    Args:
      mode: one of `MODES`; "" for all flags.
    """
    return [name for name, about in _ABOUT.items() if not mode or mode in about.modes]


def modes(name: str) -> tuple[str, ...]:
    """The modes that a flag is for."""
    return tuple(_ABOUT[name].modes)


def value(name: str) -> str:
    """What stands for a flag's value in help; "" for a switch."""
    return _ABOUT[name].value


def ignored(mode: str) -> list[str]:
    """The flags that a mode takes and does not look at."""
    return [name for name, about in _ABOUT.items() if mode in about.ignored]


def lines(mode: str) -> Iterator[str]:
    """What help says of the flags of a mode.

    Args:
      mode: one of `MODES`; "" for all flags, with the modes that each is for.
    """
    for name in names(mode):
        about, flag = _ABOUT[name], flags.FLAGS[name]
        switch = "[no]" if flag.boolean else ""
        value = f"={about.value}" if about.value else ""
        says = (about.modes[mode] if mode else "") or about.says
        if flag.default not in (None, "", [], False):
            says += f" (default: {'on' if flag.boolean else flag.default})"
        whose = "" if mode or not about.modes else f"  ({', '.join(about.modes)})"
        yield f"  --{switch}{name}{value}{whose}"
        yield _indented(says)
        if name == "config" and (not mode or mode in _FIELDS):
            yield "  --config.FIELD=VALUE"
            yield _indented(_FIELDS[mode or "run"])
    if names_ignored := ", ".join(f"--{name}" for name in ignored(mode)):
        yield ""
        text = f"Flags of other modes, accepted here and ignored: {names_ignored}."
        yield broken(text, help_columns())


def _indented(text: str) -> str:
    indent = " " * 6
    return textwrap.fill(
        text,
        help_columns(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


_ALL_FIELDS = (
    "Set a field of the config, as often as wanted; `caejax show --config=NAME --all` "
    'prints all fields. Tuples are quoted: --config.data.image_size="(50, 37)".'
)
# By mode, what is said of --config.FIELD=VALUE.
_FIELDS = {
    "run": _ALL_FIELDS,
    "show": _ALL_FIELDS,
    "slurm": _ALL_FIELDS,
    "eval": "With --config: set a field of its sections data and corruption, as "
    "--config.corruption.level=0.6.",
}
