"""What a run's folder holds of its trained model."""

from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from caejax.config import from_json
from caejax.config.check import check
from caejax.errors import CaejaxError
from caejax.optimizers import create_optimizer
from caejax.runtime import devices
from caejax.training import folder
from caejax.training.checkpoint import read_checkpoint
from caejax.training.state import TrainState, create_state
from caejax.training.task import task_from_config

_NAMED = 4  # runs of a sweep, besides the first


def trained_config(workdir: Path) -> ConfigDict:
    """The config of a folder's run, of which a checkpoint has been saved.

    Raises:
      CaejaxError: the folder holds no run, a sweep, or a run without checkpoints.
    """
    config = folder.read_config(workdir)
    if config.sweep:
        raise CaejaxError(
            f"{workdir} holds a sweep; name one of its runs, {_runs_of(workdir)}"
        )
    if not folder.is_started(workdir):
        raise _no_checkpoint(workdir)
    return config


def _runs_of(workdir):
    """Some runs of a sweep as they are to be named, and where more are listed."""
    found = sorted(filter(folder.is_started, (workdir / "runs").glob("*")))
    if not found:
        return f"{workdir}/runs/RUN_ID, when one has been trained"
    first, *others = found
    named = [x.name for x in others[:_NAMED]]
    if more := len(others) - len(named):
        named.append(f"{more} more")
    also = f" (others are {', '.join(named)})" if named else ""
    return f"{first} for instance{also}; {workdir / 'results.csv'} says which is which"


def config_in(texts: Mapping[str, str], path: Path) -> ConfigDict | None:
    """The config in the header of a file of weights; None if it has none.

    Args:
      texts: the header's texts by name.
      path: the file.

    Raises:
      CaejaxError: there is one that is no config.
    """
    if "config" not in texts:
        return None
    try:
        config = from_json(texts["config"])
        check(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CaejaxError(f"{path} has a config that cannot be read") from error
    return config


def restore(workdir: Path, config: ConfigDict, *, exact: bool = False) -> TrainState:
    """The state a run ended with: the best where it stops early, else the last.

    Where that is damaged it is the one before, and a note says so.

    Args:
      workdir: the run's folder.
      config: the run's own config, whose data and corruption may be others.
      exact: whether no other state will do.

    Raises:
      CaejaxError: there is no checkpoint, or it is damaged or of another model.
    """
    check(config)
    task = task_from_config(config, total_steps=0)  # no step is taken
    tx = create_optimizer(task.optimizer)
    state = create_state(task.model, tx, config.seed, ema=task.ema_decay > 0)
    best = config.train.early_stopping > 0
    checkpoints = workdir / "checkpoints"
    restored = read_checkpoint(checkpoints, state, best=best, exact=exact)
    if restored is None:
        raise _no_checkpoint(workdir)
    return devices.on_all_devices(restored[0])


def _no_checkpoint(workdir):
    return CaejaxError(f"{workdir} holds no checkpoint; train it by `caejax run`")
