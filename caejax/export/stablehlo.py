"""A model as StableHLO, which JAX runs without caejax."""

from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export

from caejax.files.atomic import replacing
from caejax.inference.trained import Trained, visible

PLATFORMS = ("cpu", "cuda", "tpu")


def write(model: Trained, path: Path) -> str:
    """Writes the file; returns in words what it takes and gives.

    `jax.export.deserialize(bytes).call(images)` runs it: images (B, H, W, C) float32,
    B, H and W open wherever the model takes any, and, for a model with a noise map,
    levels (B,) float32, in the images' own units.
    """
    module = model.model
    # Of sizes that are not known, the library's own layers can be written down.
    fields = {"path": "stock"} if hasattr(module, "path") else {}
    module = module.clone(**fields)
    open_size = model.config.model.encoder == "conv"
    height, width, channels = module.shape
    sides = "h, w" if open_size else f"{height}, {width}"
    least = ["b >= 1"] + (["h >= 1", "w >= 1"] if open_size else [])
    shape = export.symbolic_shape(f"b, {sides}, {channels}", constraints=least)

    def run(x, *level):
        linear = module.apply({"params": model.params}, x, *level)
        return visible(module, linear)

    given = [jax.ShapeDtypeStruct(shape, jnp.float32)]
    if module.noise_map:
        given.append(jax.ShapeDtypeStruct(shape[:1], jnp.float32))
    exported = export.export(jax.jit(run), platforms=PLATFORMS)(*given)
    with replacing(path) as file:
        file.write(exported.serialize())
    size = "any size" if open_size else f"{height} x {width}"
    told = ", level (batch,) of 1" if module.noise_map else ""
    return (
        f"StableHLO for {', '.join(PLATFORMS)}: image (batch, height, width, "
        f"{channels}), {size}{told} -> denoised in [0, 1]"
    )
