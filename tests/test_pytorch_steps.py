"""Training from the same weights on the same batches: caejax's steps are PyTorch's."""

import collections
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.data import glyphs
from caejax.models.size import variable_shapes
from caejax.models.torch_kernels import from_torch
from caejax.optimizers import create_optimizer
from caejax.training.state import first_state
from caejax.training.step import take_steps, zero_sums
from caejax.training.task import task_from_config
from experiments.seeds import systems

STEPS, BATCH = 5, 20
# Share of weights that may be elsewhere: of the widest model some gradients are
# nearly 0, and of their rounding Adam makes whole steps.
ROUNDED = {"b_conv_denoiser": 1e-2}


def layers_of(torch, encoder, decoder):
    """PyTorch's layers with weights, by their path in caejax's parameters."""
    names = {torch.nn.Linear: "Dense", torch.nn.ConvTranspose2d: "Upsample"}
    for half, layers in (("encoder", encoder), ("decoder", decoder)):
        counts, resized = collections.Counter(), False
        for layer in layers:
            if hasattr(layer, "weight"):
                name = names.get(type(layer), "Upsample" if resized else "Conv")
                yield half, f"{name}_{counts[name]}", layer
                counts[name] += 1
            # A resize to a size is a layer of its own.
            resized = getattr(layer, "scale_factor", None) == 2


def parameters_of(torch, *halves):
    """A copy of PyTorch's weights in caejax's layout."""
    params = collections.defaultdict(dict)
    for half, name, layer in layers_of(torch, *halves):
        kernel, bias = (x.detach().numpy().copy() for x in (layer.weight, layer.bias))
        if isinstance(layer, torch.nn.Linear):
            kernel = kernel.T
        else:
            transposed = isinstance(layer, torch.nn.ConvTranspose2d)
            kind = f"deconv_k{kernel.shape[-1]}" if transposed else "nearest_k3"
            kernel = from_torch(kernel, kind)
        params[half][name] = {"kernel": jnp.array(kernel), "bias": jnp.array(bias)}
    return dict(params)


def digits(count):
    """(N, 28, 28, 1), uint8."""
    split, _ = glyphs.load(
        train_size=count, test_size=1, image_size=(28, 28), channels=1, seed=0
    )
    return np.uint8(255 * split.images)


@pytest.mark.parametrize(
    "name",
    [
        "b_basic",
        "b_dense_denoiser",
        "b_conv_denoiser",
        "c_keras_conv",
        "e_linear",
        "e_transposed",
        "e_upsampling",
        "e_denoiser",
    ],
)
def test_steps_are_those_of_pytorch(name, torch):
    pytorch = importlib.import_module("experiments.seeds.pytorch")
    (system,) = (s for s in systems.SYSTEMS if s.name == name)
    config = systems.config_of(system)
    # Noise is another in PyTorch.
    config.corruption.level = 0.0
    config.train.batch_size = BATCH
    reference = pytorch.REFERENCES[name]._replace(noise=0.0, batch=BATCH)
    torch.manual_seed(0)
    halves = pytorch.start(reference)
    before = parameters_of(torch, *halves)
    images = digits(STEPS * BATCH)

    optimizer = reference.optimizer([x for half in halves for x in half.parameters()])
    batches = pytorch.pixels(images).split(BATCH)
    losses = [pytorch.take_step(reference, *halves, optimizer, x) for x in batches]

    task = task_from_config(config, total_steps=STEPS)
    state = first_state(before, create_optimizer(task.optimizer), ema=False)
    expected = variable_shapes(task.model)["params"]
    assert jax.tree.map(jnp.shape, before) == jax.tree.map(jnp.shape, expected)
    state, sums = jax.jit(take_steps, static_argnums=0)(
        task, state, zero_sums(), images, STEPS, 0, jnp.float32(0), jnp.int32(0)
    )
    assert float(sums["loss"]) == pytest.approx(float(sum(losses)), rel=1e-5)
    after = parameters_of(torch, *halves)
    for start, ours, theirs in zip(
        *map(jax.tree.leaves, (before, state.params, after)), strict=True
    ):
        far = np.abs(ours - theirs) > 1e-2 * np.abs(theirs - start).max()
        assert far.sum() <= ROUNDED.get(name, 0) * far.size
        error, moved = (np.linalg.norm(x - theirs) for x in (ours, start))
        assert error < 5e-3 * moved
