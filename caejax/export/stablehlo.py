"""A model as StableHLO, which JAX runs without caejax."""

import dataclasses
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
    if "path" in {field.name for field in dataclasses.fields(module)}:
        module = module.clone(path="stock")
    height, width, channels = module.shape
    fixed = f"{height}, {width}"
    for sides in ("h, w", fixed) if model.config.model.encoder == "conv" else (fixed,):
        try:
            exported = _lower(module, model.params, f"b, {sides}, {channels}")
            break
        except (TypeError, ValueError):
            # Layers whose kernels follow the content ask for numbers of pixels.
            if sides == fixed:
                raise
    with replacing(path) as file:
        file.write(exported.serialize())
    size = "any size" if sides != fixed else f"{height} x {width}"
    told = ", level (batch,) of 1" if module.noise_map else ""
    return (
        f"StableHLO for {', '.join(PLATFORMS)}: image (batch, height, width, "
        f"{channels}), {size}{told} -> denoised in [0, 1]"
    )


def _lower(module, params, sides):
    names = [name for name in ("b", "h", "w") if name in sides]
    shape = export.symbolic_shape(sides, constraints=[f"{x} >= 1" for x in names])
    given = [jax.ShapeDtypeStruct(shape, jnp.float32)]
    if module.noise_map:
        given.append(jax.ShapeDtypeStruct(shape[:1], jnp.float32))

    @jax.jit
    def run(x, *level):
        return visible(module, module.apply({"params": params}, x, *level))

    return export.export(run, platforms=PLATFORMS)(*given)
