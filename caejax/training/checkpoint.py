"""Checkpoints by orbax: the last few of a run, and its best.

All use of orbax is in this file, because its interface still moves. Writing is
atomic: a checkpoint is there whole or not at all.
"""

import contextlib
import shutil
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from caejax.errors import CaejaxError
from caejax.training.progress import Progress, from_json, to_json
from caejax.training.state import TrainState


class Checkpoints:
    """A run's checkpoint folder; use as a context manager.

    `last/` holds the newest `keep` states and `best/` the one with the lowest
    validation loss, each in a folder named after its step, with the progress beside
    the state. `stopped/` holds that of a run that was stopped in the midst of an epoch
    after all of them.
    """

    def __init__(self, folder: Path, keep: int):
        self._stopped = folder / "stopped"
        self._last = _manager(folder / "last", keep)
        self._best = _manager(folder / "best", 1)

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *exception):
        """Closes both managers."""
        self._last.close()
        self._best.close()

    def save(self, state: TrainState, progress: Progress, *, best: bool) -> None:
        """Saves a state and how far the run is, first as the best where it is."""
        if best:
            _save(self._best, state, progress)
        _save(self._last, state, progress)
        shutil.rmtree(self._stopped, ignore_errors=True)  # it lies before this one

    def save_stopped(self, state: TrainState, progress: Progress) -> None:
        """Saves a state in the midst of an epoch, in place of an earlier such."""
        with contextlib.closing(_manager(self._stopped, 1)) as manager:
            _save(manager, state, progress)

    def restore(self, like: TrainState) -> tuple[TrainState, Progress] | None:
        """The newest state and how far the run was then, or None.

        Args:
          like: a state of the same shapes.

        Raises:
          CaejaxError: the checkpoint is of another model or optimiser.
        """
        return self._restore_stopped(like) or _restore(self._last, like)

    def _restore_stopped(self, like):
        """That of the midst of an epoch, if none is newer."""
        if not self._stopped.exists():
            return None
        with contextlib.closing(_manager(self._stopped, 1)) as manager:
            step = manager.latest_step()
            if step is None or step <= (self._last.latest_step() or 0):
                return None
            return _restore(manager, like)

    def restore_best(self, like: TrainState) -> tuple[TrainState, Progress] | None:
        """The best state and how far the run was then, or None; as `restore`."""
        return _restore(self._best, like)


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, enable_async_checkpointing=False
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)


def _save(manager, state, progress):
    step = int(state.step)
    if step in manager.all_steps():
        # A run that was killed between its two saves comes by here again.
        return
    about = {"progress": to_json(progress), "shapes": _shapes(state)}
    parts = {"state": ocp.args.StandardSave(state), "about": ocp.args.JsonSave(about)}
    manager.save(step, args=ocp.args.Composite(**parts))


def _restore(manager, like):
    step = manager.latest_step()
    if step is None:
        return None
    about = _restore_part(manager, step, "about", ocp.args.JsonRestore())
    if about["shapes"] != _shapes(like):
        raise CaejaxError(
            f"the checkpoint {manager.directory / str(step)} is of another model or "
            "optimiser; choose another --workdir or delete this one"
        )
    state = _restore_part(manager, step, "state", ocp.args.StandardRestore(like))
    return state, from_json(about["progress"])


def _restore_part(manager, step, name, args):
    try:
        return manager.restore(step, args=ocp.args.Composite(**{name: args}))[name]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CaejaxError(
            f"the checkpoint {manager.directory / str(step)} is damaged; delete it to "
            "go on from the one before"
        ) from error


def _shapes(state):
    """Shapes by path, to know a model by before any array is read."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): list(leaf.shape) for path, leaf in leaves}
