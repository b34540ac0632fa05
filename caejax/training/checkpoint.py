"""Checkpoints by orbax: the last few of a run, and its best.

All use of orbax is in this file, because its interface still moves. It is imported
where something is saved or read, as not all commands do. Writing is atomic: a
checkpoint is there whole or not at all. What happens to its files later is noticed when
it is read: then an older one takes its place.
"""

import contextlib
import gc
import hashlib
import io
import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

from caejax.errors import CaejaxError
from caejax.files.atomic import move_aside, naming
from caejax.files.finished import checkpoint_folders
from caejax.files.paths import as_text
from caejax.runtime import together
from caejax.terminal.notes import note
from caejax.training.progress import Progress, from_json, to_json
from caejax.training.state import TrainState

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

Restored = tuple[TrainState, Progress]

# Words of errors that say nothing about the files.
_PASSING = ("RESOURCE_EXHAUSTED", "Too many open files", "Cannot allocate memory")


class _Damaged(Exception):
    """A checkpoint cannot be read, or is not what was saved."""


class Checkpoints:
    """A run's checkpoint folder, to be written to; use as a context manager.

    `last/` holds the newest `keep` states and `best/` the one with the lowest
    validation loss, each in a folder named after its step, with the progress beside
    the state. `stopped/` holds that of a run that was stopped in the midst of an epoch
    after all of them, and `damaged/` keeps what could not be read.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder, self._stopped = folder, folder / "stopped"
        for place in (folder / "last", folder / "best", self._stopped):
            if place.exists() and not place.is_dir():
                move_aside(place, folder / "damaged")
        self._keep = keep
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
            self._take_best(str(int(state.step)))
        else:
            _save(self._last, state, progress)
        shutil.rmtree(self._stopped, ignore_errors=True)  # it lies before this one

    def _take_best(self, step):
        """Copies the best state among the last, which takes less than to save again."""
        place, copy = self._folder / "last" / step, self._folder / "copy"
        if place.exists():
            return
        with naming(place):
            shutil.rmtree(copy, ignore_errors=True)  # of a run that was killed here
            shutil.copytree(self._folder / "best" / step, copy)
            copy.rename(place)
        with _quietly():
            self._last.reload()
            for old in sorted(self._last.all_steps())[: -self._keep]:
                self._last.delete(old)

    def save_stopped(self, state: TrainState, progress: Progress) -> None:
        """Saves a state in the midst of an epoch, in place of an earlier such."""
        with contextlib.closing(_manager(self._stopped, 1)) as manager:
            _save(manager, state, progress)

    def restore(self, like: TrainState, *, with_best: bool = False) -> Restored | None:
        """The newest state to go on from and how far the run was then, or None.

        Damaged checkpoints, and what is newer than the one that is gone on from, are
        moved into `damaged/`; a note says so.

        Args:
          like: a state of the same shapes.
          with_best: whether the run will need its best state, too. Then it goes on
            only from where that is known, and begins anew if it is lost.

        Raises:
          CaejaxError: the checkpoint is of another model or optimiser.
        """
        found, seen = checkpoint_folders(self._folder), {}

        def read(path):
            if path not in seen:
                seen[path] = _read_if_whole(path, like)
            return seen[path]

        def has_best(progress):
            # A model that has not been measured has no best yet.
            return not with_best or not progress.measured or best_of(progress)

        def best_of(progress):
            same = (path for path in found if int(path.name) == progress.best_step)
            return next(filter(None, map(read, same)), None)

        chosen = next(
            (path for path in found if read(path) and has_best(read(path)[1])),
            None,
        )
        for path in found:
            if path.parent.name == "best":
                read(path)  # its place must be free for the next one
        restored = chosen and read(chosen)
        best = best_of(restored[1]) if restored and with_best else None
        broken = [path for path in found if path in seen and not seen[path]]
        self._clear(found, broken, chosen)
        if best:
            _save(self._best, *best)
        if restored and not restored[1].begun:
            _save(self._last, *restored)
        return restored

    def _clear(self, found, broken, chosen):
        """Moves away what is damaged, and what a run that goes on would run into."""
        step = -1 if chosen is None else int(chosen.name)
        newer = [path for path in found if int(path.name) > step]
        if not (broken or newer):
            return
        aside = self._folder / "damaged"
        for path in dict.fromkeys([*broken, *newer]):
            move_aside(path, aside)
        self._last.reload()
        self._best.reload()
        what = " and ".join(map(str, broken)) or self._folder / "best"
        on = "begins anew" if chosen is None else f"goes on from step {step}"
        are = "are" if len(broken) > 1 else "is"
        note(f"{what} {are} damaged, and kept in {aside}; the run {on}")

    def restore_best(self, like: TrainState) -> Restored | None:
        """The best state and how far the run was then, or None.

        Args:
          like: a state of the same shapes.

        Raises:
          CaejaxError: the checkpoint is damaged, or of another model or optimiser.
        """
        found = checkpoint_folders(self._folder)
        best = next((path for path in found if path.parent.name == "best"), None)
        return best and _read_or_say(best, like)


def read_checkpoint(
    folder: Path, like: TrainState, *, best: bool, exact: bool = False
) -> Restored | None:
    """Reads a run's best state, or its newest one; nothing is written.

    Where that is damaged it is the newest other one, and a note says so.

    Args:
      folder: the checkpoint folder.
      like: a state of the same shapes.
      best: whether the best state is wanted.
      exact: whether no other state will do.

    Returns:
      The state and how far the run was then; None if nothing was ever saved.

    Raises:
      CaejaxError: all are damaged, or the one that must not be; or it is of another
        model or optimiser.
    """
    found = checkpoint_folders(folder)
    found.sort(key=lambda path: (path.parent.name == "best") != best)
    if not found:
        return None
    wanted = found[0]
    if exact:
        return _read_or_say(wanted, like)
    for path in found:
        if restored := _read_if_whole(path, like):
            if path != wanted:
                note(f"{wanted} is damaged; the model of {path} is taken instead")
            return restored
    raise CaejaxError(
        f"{wanted} is damaged, and there is no other checkpoint; `caejax run` "
        "trains the model again"
    )


def _manager(folder: Path, keep: int) -> "ocp.CheckpointManager":
    import orbax.checkpoint as ocp

    # Of several processes the first alone has to do with files.
    own = {}
    if together.count() > 1:
        folder.mkdir(parents=True, exist_ok=True)
        own = {"multiprocessing_options": _alone(), "create": False}
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, enable_async_checkpointing=False, **own
    )
    with _quietly():
        return ocp.CheckpointManager(as_text(folder), options=options)


def _alone():
    import orbax.checkpoint as ocp

    me = together.index()
    return ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me})


def _save(manager, state, progress):
    import orbax.checkpoint as ocp

    step = int(state.step)
    if step in manager.all_steps():
        # A run that was killed between its two saves comes by here again.
        return
    about = {"progress": to_json(progress), "shapes": _shapes(state)}
    about |= {"dtypes": _dtypes(state), "state": _hash_of_arrays(state)}
    about["hash"] = _hash_of_json(about)
    if together.count() > 1:
        state = jax.tree.map(np.asarray, state)  # orbax takes only these of one process
    parts = {"state": ocp.args.StandardSave(state), "about": ocp.args.JsonSave(about)}
    with naming(Path(manager.directory) / str(step)), _quietly():
        manager.save(step, args=ocp.args.Composite(**parts))


def _read_if_whole(path, like):
    try:
        return _read(path, like)
    except _Damaged:
        return None


def _read_or_say(path, like):
    try:
        return _read(path, like)
    except _Damaged as error:
        raise CaejaxError(
            f"{path} is damaged; delete summary.json if there is one, and "
            "`caejax run` trains what is lost again"
        ) from error


def _read(path: Path, like: TrainState) -> Restored:
    """Reads a checkpoint.

    Raises:
      _Damaged: it cannot be read, or is not what was saved.
      CaejaxError: it is of another model or optimiser.
    """
    with _damage(), _quietly():
        about = _restore(path, "about")
        shapes, progress = about["shapes"], from_json(about["progress"])
        if about.pop("hash", None) not in (None, _hash_of_json(about)):
            raise _Damaged("the values beside the state are others")
    if shapes != _shapes(like):
        raise CaejaxError(
            f"the checkpoint {path} is of another model or optimiser; choose another "
            "--workdir or delete this one"
        )
    with _damage(), _quietly():
        _read_through(path / "state")
        state = _restore(path, "state", like)
        if int(state.step) != int(path.name):
            raise _Damaged("the state is of another step")
        # Arrays that are read as another type are others by that.
        alike = about.get("dtypes") == _dtypes(state)
        if alike and about["state"] != _hash_of_arrays(state):
            raise _Damaged("the state is another")
    return state, progress


def _restore(path, name, like=None):
    import orbax.checkpoint as ocp

    if like is not None and together.count() > 1:
        like = jax.tree.map(np.asarray, like)  # as it is saved then
    args = ocp.args.JsonRestore() if like is None else ocp.args.StandardRestore(like)
    handlers = {
        "about": ocp.JsonCheckpointHandler(),
        "state": ocp.StandardCheckpointHandler(),
    }
    handler = ocp.CompositeCheckpointHandler(**handlers)
    own = {"multiprocessing_options": _alone()} if together.count() > 1 else {}
    with ocp.Checkpointer(handler, **own) as checkpointer:
        composite = ocp.args.Composite(**{name: args})
        return checkpointer.restore(as_text(path), args=composite)[name]


def _read_through(folder):
    """Reads all arrays in turn: orbax goes on with the others after an error.

    Those then fail in its threads, one traceback each.
    """
    import tensorstore

    if not (folder / "manifest.ocdbt").exists():
        return  # not as orbax writes today; what it is, orbax itself says
    if not isinstance(json.loads((folder / "_METADATA").read_bytes()), dict):
        raise ValueError("no object")
    file = {"driver": "file", "path": f"{as_text(folder)}/"}
    store = {"driver": "ocdbt", "base": file}
    arrays = {}
    for key in tensorstore.KvStore.open(store).result().list().result():
        name, _, end = key.decode().rpartition("/")
        if end == ".zarray":
            spec = {"driver": "zarr", "kvstore": store | {"path": f"{name}/"}}
            arrays[name] = tensorstore.open(spec).result()
            arrays[name].read().result()
    for path in (folder / "array_metadatas").glob("*"):
        for entry in json.loads(path.read_bytes())["array_metadatas"]:
            about = entry["array_metadata"]
            spec = arrays[about["param_name"]].spec().to_json()
            chunks, written = spec["metadata"]["chunks"], about["write_shape"]
            if about["chunk_shape"] != chunks or len(written) != len(chunks):
                raise ValueError(f"{about} is not as it was written")


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Makes errors of files that are not as they were `_Damaged`."""
    try:
        yield
    except (MemoryError, _Damaged):
        raise
    except Exception as error:
        if any(words in str(error) for words in _PASSING):
            raise
        raise _Damaged(str(error)) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without orbax's own lines about what it finds, also those of its threads."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        hidden = io.StringIO()
        hidden.beneath = sys.stderr  # signals are answered all the same
        with contextlib.redirect_stderr(hidden):
            try:
                yield
            except Exception:
                gc.collect()
                time.sleep(0.1)  # until the threads have said theirs
                raise
    finally:
        logging.disable(before)


def _hash_of_json(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _dtypes(state):
    return [str(leaf.dtype) for leaf in jax.tree.leaves(state)]


def _hash_of_arrays(state):
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return sha.hexdigest()


def _shapes(state):
    """Shapes by path, to know a model by before any array is read."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): list(leaf.shape) for path, leaf in leaves}
