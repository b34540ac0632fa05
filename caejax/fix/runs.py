"""Mends finished runs of caejax."""

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.files.finished import read_summary
from caejax.files.paths import Written, expand
from caejax.fix.cost import TIED, without_tied
from caejax.fix.mend import Mend
from caejax.inference.trained import Trained, load
from caejax.models.diagnosis import clean_by_construction
from caejax.models.kinds import UPSAMPLING, find_kind, used_kernel
from caejax.models.upsampling import Upsample
from caejax.training import folder
from caejax.training.checkpoint import Checkpoints, read_checkpoint
from caejax.training.loop import train
from caejax.training.restore import trained_config
from caejax.training.run import create_run, new_state


def fix_run(workdir: Written, out: Written) -> list[Mend]:
    """Writes a run again, mended and measured anew.

    Args:
      workdir: the folder of the finished run, which stays as it is.
      out: the new run's folder; it can do whatever a run's folder can.

    Returns:
      What was changed.

    Raises:
      CaejaxError: the folder holds no trained model, or the other one something.
    """
    workdir, out = expand(workdir, "the run"), expand(out, "out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CaejaxError(f"{out} exists; choose another --out")
    found = load(workdir)
    mends = find_mends(found)
    config = trained_config(workdir)
    run = create_run(config, found.data, verbose=False)
    best = config.train.early_stopping > 0
    restored = read_checkpoint(workdir / "checkpoints", new_state(run), best=best)
    state, progress = restored
    state = state._replace(params=_with(state.params, found.model))
    if config.train.ema_decay:
        state = state._replace(ema=_with(state.ema, found.model))
    # The run has ended here, however many epochs it was to have.
    config.train.epochs = max(1, int(state.step) // run.steps_per_epoch)
    folder.settle(out, config, run.data)
    with Checkpoints(out / "checkpoints", keep=1) as checkpoints:
        progress = progress._replace(best_step=int(state.step), begun=None)
        checkpoints.save(state, progress, best=True)
    folder.settle(out, config, run.data)
    train(config, out, verbose=False)
    return mends


def find_mends(found: Trained) -> list[Mend]:
    """What of a trained model's kernels is to be changed."""
    mends = []
    for path, kind in _layers(found.model, found.params).items():
        old = np.asarray(_at(found.params, path)["kernel"])
        new = np.asarray(_clean(old, kind))
        if not np.array_equal(old, new):
            mends.append(Mend("/".join(path), (), path, old, new))
    return mends


def _clean(kernel, kind):
    if clean_by_construction(kind):
        return kernel
    return used_kernel(jnp.asarray(kernel), find_kind(kind)._replace(projected=True))


def _layers(model, params) -> dict[tuple[str, ...], str]:
    """The kinds of a model's upsampling layers, by their place in the parameters."""
    found = {}

    def look(call, args, kwargs, context):
        if isinstance(context.module, Upsample):
            found[context.module.path] = context.module.kind
        return call(*args, **kwargs)

    images = jnp.zeros((1, *model.shape))
    with nn.intercept_methods(look):
        jax.eval_shape(lambda x: model.apply({"params": x}, images), params)
    return found


def _at(tree, path) -> Any:
    return functools.reduce(lambda part, name: part[name], path, tree)


def _with(params, model):
    """Parameters with clean kernels."""
    kernels = {(*path, "kernel"): kind for path, kind in _layers(model, params).items()}

    def changed(path, leaf):
        kind = kernels.get(tuple(key.key for key in path))
        return leaf if kind is None else jnp.asarray(_clean(leaf, kind))

    return jax.tree_util.tree_map_with_path(changed, params)


def finetune(fixed: Path, out: Path, epochs: int) -> dict[str, Any]:
    """Trains a mended run further, with the phases of its kernels kept tied.

    Args:
      fixed: the mended run's folder.
      out: the folder of the new run, which is one of tied kinds.
      epochs: how many.

    Returns:
      The new run's summary.

    Raises:
      CaejaxError: a kind that has no tied one.
    """
    check_tied(fixed)
    config = trained_config(fixed)
    config.train.epochs = epochs
    config.train.start_from = str(fixed.resolve())
    _tie(config)
    return train(config, out, verbose=False)


def _tie(config: ConfigDict) -> None:
    model = config.model
    if model.encoder == "layers":
        model.decoder_layers = tuple(
            " ".join(
                [_tied(word) if word in UPSAMPLING else word for word in x.split()]
            )
            for x in model.decoder_layers
        )
    elif isinstance(model.upsampling, str):
        model.upsampling = _tied(model.upsampling)
    else:
        model.upsampling = tuple(map(_tied, model.upsampling))


def _tied(kind: str) -> str:
    return TIED.get(kind, kind)


def untied(workdir: Written) -> str:
    """What to do where layers of a run may draw and have no tied form; else ""."""
    model = trained_config(expand(workdir, "the run")).model
    field = "model.upsampling"
    if model.encoder == "layers":
        field = "model.decoder_layers"
        words = " ".join(model.decoder_layers).split()
        kinds = [word for word in words if word in UPSAMPLING]
    elif isinstance(model.upsampling, str):
        kinds = [model.upsampling]
    else:
        kinds = list(model.upsampling)
    found = dict.fromkeys(x for x in kinds if not _stays_clean(x))
    return without_tied([*found], field) if found else ""


def _stays_clean(kind):
    return kind in TIED or clean_by_construction(kind)


def check_tied(workdir: Written) -> None:
    """Refuses to train a run further with tied phases where a kind has no such form.

    Raises:
      CaejaxError: it has none.
    """
    if said := untied(workdir):
        raise CaejaxError(f"--finetune cannot help here: {said}")


def psnr(workdir: Path) -> float:
    """Mean PSNR in dB on a finished run's own test images."""
    return read_summary(workdir)["test/psnr"]
