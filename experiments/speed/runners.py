"""The implementations: each makes a system ready to train, in a process of its own.

All train the same layers on the same images, Gaussian noise of 0.5 clipped to
[0, 1] and drawn in the step, binary cross-entropy from logits, Adam at 1e-3,
shuffled batches from images that lie on the device. A library is imported only by
the functions that need it, after the process's settings are made.
"""

import collections
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from experiments.speed.systems import System, random_images, random_weights

NOISE = 0.5
RATE = 1e-3
BATCHES = 8  # of different images
PEAK_SIDES = {"cpu": (1024, 2048, 4096), "gpu": (4096, 8192, 16384)}  # of matrices


class Runner(NamedTuple):
    """An implementation that is ready.

    Attributes:
      platform: "cpu" or "gpu".
      run: a function that trains so many steps and returns when they are done.
      forward: a function from (B, H, W, C) images to logits, with the weights of that
        moment.
      device_bytes: a function that gives an accelerator's peak memory, 0 where it is
        not known.
      peak: a function from a size to one that does matrix products of that size once;
        for the device's speed.
    """

    platform: str
    run: Callable[[int], None]
    forward: Callable[[np.ndarray], np.ndarray]
    device_bytes: Callable[[], int]
    peak: Callable[[int], Callable[[], None]]


class Settings(NamedTuple):
    """What all implementations of one measurement share.

    Attributes:
      dtype: the dtype of the computation, "float32" or "bfloat16".
      cores: the number of cores to use.
      platform: the platform to run on; "" is the library's own choice.
      channels_last: whether PyTorch's images lie in memory with channels last.
      path: how caejax computes its layers, a path of `caejax.ops.paths`.
    """

    dtype: str = "float32"
    cores: int = 1
    platform: str = ""
    channels_last: bool = False
    path: str = "auto"


def caejax(system: System, settings: Settings) -> Runner:
    """caejax as its command line runs it: many steps in one compiled call."""
    import jax

    from caejax.optimizers import create_optimizer
    from caejax.runtime.devices import on_all_devices
    from caejax.runtime.startup import start
    from caejax.training.state import create_state
    from caejax.training.step import compiled_steps, zero_sums

    start(system.batch, cache=False)
    task = caejax_task(system, settings)
    seed = 0
    tx = create_optimizer(task.optimizer)
    state = create_state(task.model, tx, seed, ema=False)
    state = on_all_devices(state._replace(params=caejax_params(system)))
    images = jax.numpy.asarray(random_images(system, BATCHES * system.batch))
    steps = compiled_steps(task)

    def run(count):
        nonlocal state
        stop = int(state.step) + count
        sums = on_all_devices(zero_sums())
        state, sums = steps(state, sums, images, stop, seed, NOISE)
        loss = float(sums["loss"])
        if not np.isfinite(loss) or int(state.step) != stop:
            raise FloatingPointError(f"loss is {loss} at step {int(state.step)}")

    def forward(images):
        return jax.jit(task.model.apply)({"params": state.params}, images)

    return Runner(run=run, forward=forward, **_jax_device(settings))


def caejax_task(system: System, settings: Settings) -> Any:
    """What caejax's steps of a system follow from, a `caejax.training.task.Task`."""
    from caejax import config as config_lib
    from caejax.training.task import task_from_config

    config = config_lib.default()
    config.data.image_size = system.side
    config.data.channels = system.channels
    config.corruption.level = NOISE
    config.model.update(system.model)
    config.model.dtype = settings.dtype
    config.model.path = settings.path
    config.optimizer.learning_rate = RATE
    config.train.batch_size = system.batch
    return task_from_config(config, 0)


def caejax_params(system: System) -> dict[str, Any]:
    """The parameters of caejax's model that hold the random weights."""
    import jax
    import jax.numpy as jnp

    from experiments.speed.systems import plan

    counts = collections.defaultdict(itertools.count)
    params = {"encoder": {}, "decoder": {}}
    for step, weights in zip(plan(system), random_weights(system), strict=True):
        if weights is None:
            continue
        name = "Conv" if step.layer.op == "conv" else "Upsample"
        params[step.half][f"{name}_{next(counts[step.half, name])}"] = _named(weights)
    return jax.tree.map(jnp.asarray, params)


def _named(weights):
    """As Flax names them."""
    guides = {name: _named(guide) for name, guide in weights.guides.items()}
    return {"kernel": weights.kernel, "bias": weights.bias, **guides}


def flax(system: System, settings: Settings) -> Runner:
    """Stock Flax: a jitted step, called once a step."""
    import jax.numpy as jnp

    from experiments.speed.flax_model import StockAutoencoder, to_params

    model = StockAutoencoder(system, jnp.dtype(settings.dtype))
    params = to_params(system, random_weights(system))

    def apply(params, images):
        return model.apply({"params": params}, images)

    return _stepwise(system, settings, params, apply)


def equinox(system: System, settings: Settings) -> Runner:
    """Layers of equinox, trained as those of stock Flax are."""
    import equinox as eqx

    from experiments.speed.equinox_model import apply, create_layers

    layers = create_layers(system, random_weights(system), settings.dtype)
    params, static = eqx.partition(layers, eqx.is_inexact_array)

    def logits(params, images):
        return apply(system, eqx.combine(params, static), images)

    return _stepwise(system, settings, params, logits)


def _stepwise(system, settings, params, apply):
    """A jitted step of JAX, called once a step, for a model (params, images)."""
    import jax
    import jax.numpy as jnp
    import optax

    tx = optax.adam(RATE)
    images = jnp.asarray(random_images(system, BATCHES * system.batch))
    key, order_key = jax.random.split(jax.random.key(0))
    order = jax.random.permutation(order_key, len(images))
    state = (params, tx.init(params), jnp.int32(0))

    def loss(params, noisy, clean):
        logits = apply(params, noisy)
        return optax.sigmoid_binary_cross_entropy(logits, clean).mean()

    def step(state, images, order):
        params, opt_state, count = state
        start = count % BATCHES * system.batch
        clean = images[jax.lax.dynamic_slice(order, (start,), (system.batch,))]
        noise = jax.random.normal(jax.random.fold_in(key, count), clean.shape)
        noisy = jnp.clip(clean + NOISE * noise, 0, 1)
        value, grads = jax.value_and_grad(loss)(params, noisy, clean)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, count + 1), value

    compiled = jax.jit(step, donate_argnums=0)

    def run(count):
        nonlocal state
        for _ in range(count):
            state, value = compiled(state, images, order)
        if not np.isfinite(float(value)):
            raise FloatingPointError(f"loss is {value}")
        jax.block_until_ready(state)

    def forward(images):
        return jax.jit(apply)(state[0], images)

    return Runner(run=run, forward=forward, **_jax_device(settings))


def _jax_device(settings: Settings) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    def device_bytes():
        stats = jax.devices()[0].memory_stats() or {}
        return stats.get("peak_bytes_in_use", 0)

    def peak(side):
        x = jnp.ones((side, side), settings.dtype)
        product = jax.jit(jnp.matmul)
        return lambda: product(x, x).block_until_ready()

    return {
        "platform": jax.default_backend(),
        "device_bytes": device_bytes,
        "peak": peak,
    }


def torch_eager(system: System, settings: Settings) -> Runner:
    """PyTorch as it comes."""
    return _torch(system, settings, compiled=False)


def torch_compiled(system: System, settings: Settings) -> Runner:
    """PyTorch with forward pass, loss and their gradients compiled."""
    return _torch(system, settings, compiled=True)


def _torch(system: System, settings: Settings, *, compiled: bool) -> Runner:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from experiments.speed.torch_model import TorchAutoencoder

    device = _torch_device(torch, settings)
    gpu = device == "cuda"
    dtype = getattr(torch, settings.dtype)
    model = TorchAutoencoder(system, random_weights(system)).to(device)
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
    images = random_images(system, BATCHES * system.batch)
    if not settings.channels_last:
        images = images.transpose(0, 3, 1, 2).copy()
    images = torch.from_numpy(images).to(device)
    order = torch.randperm(len(images), device=device).split(system.batch)
    batches = itertools.cycle(order)

    def logits(images):
        # With one channel both layouts look alike to PyTorch, but for the strides
        # that this leaves.
        images = images.permute(0, 3, 1, 2) if settings.channels_last else images
        with torch.autocast(device, dtype, enabled=settings.dtype != "float32"):
            return model(images), images

    def loss(clean):
        noisy = (clean + NOISE * torch.randn_like(clean)).clamp(0, 1)
        output, _ = logits(noisy)
        target = clean.permute(0, 3, 1, 2) if settings.channels_last else clean
        return binary_cross_entropy_with_logits(output, target)

    if compiled:
        loss = torch.compile(loss, mode="reduce-overhead" if gpu else "default")

    def run(count):
        for batch in itertools.islice(batches, count):
            if compiled and gpu:
                torch.compiler.cudagraph_mark_step_begin()
            optimizer.zero_grad()
            value = loss(images[batch])
            value.backward()
            optimizer.step()
        if not np.isfinite(float(value.detach())):
            raise FloatingPointError(f"loss is {value}")
        if gpu:
            torch.cuda.synchronize()

    @torch.no_grad()
    def forward(images):
        x = torch.from_numpy(np.asarray(images)).to(device)
        if not settings.channels_last:
            x = x.permute(0, 3, 1, 2).contiguous()
        return logits(x)[0].permute(0, 2, 3, 1).cpu().numpy()

    def peak(side):
        x = torch.ones((side, side), dtype=dtype, device=device)

        def multiply():
            x @ x
            if gpu:
                torch.cuda.synchronize()

        return multiply

    return Runner(
        platform="gpu" if gpu else "cpu",
        run=run,
        forward=forward,
        device_bytes=lambda: torch.cuda.max_memory_allocated() if gpu else 0,
        peak=peak,
    )


def _torch_device(torch, settings):
    torch.manual_seed(0)
    torch.set_num_threads(settings.cores)
    if settings.platform in ("", "cpu"):
        return "cpu"
    if not torch.cuda.is_available():
        raise RuntimeError("JAX has an accelerator here, PyTorch has none")
    # JAX's default precision, too, lets float32 products run in TF32.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return "cuda"


# Name to what makes it, and the settings of its own.
IMPLEMENTATIONS: dict[
    str, tuple[Callable[[System, Settings], Runner], dict[str, Any]]
] = {
    "caejax": (caejax, {}),
    "flax": (flax, {}),
    "equinox": (equinox, {}),
    "torch_nchw": (torch_eager, {"channels_last": False}),
    "torch_nhwc": (torch_eager, {"channels_last": True}),
    # In the layout that was faster without.
    "torch_compile": (torch_compiled, {"channels_last": True}),
    "caejax_matmul": (caejax, {"path": "matmul"}),
    "caejax_polyphase": (caejax, {"path": "polyphase"}),
    "caejax_stock": (caejax, {"path": "stock"}),
}
