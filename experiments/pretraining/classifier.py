"""Encoders with and without pre-training, and the classifiers that start from them.

The study's encoder is that of Vincent et al. (ICML 2008), 784 sigmoid units to 500, but
any autoencoder's will do; the classifier is the encoder and a softmax layer, all of it
trained.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from caejax import corruptions, losses
from caejax.data import Split
from caejax.inference.trained import in_batches
from caejax.models.autoencoders import create_model
from caejax.optimizers import OptimizerSpec, create_optimizer
from caejax.runtime import keys
from caejax.runtime.compilation import quick_jit
from caejax.training.state import create_state
from caejax.training.step import compiled_steps, zero_sums
from caejax.training.task import Task

ARMS = ("random", "pre-trained")
CLASSES = 10
MASKED = 0.3
BATCH = 100  # of fine-tuning; divides all numbers of labels
RATE = 1e-3
EVERY = 50  # steps between looks at the validation images

# As in configs/seeds/d_tied_masking.py.
DENOISER = Task(
    model=create_model(
        "tied_dense",
        shape=(28, 28, 1),
        latent_channels=500,
        code_activation="sigmoid",
        initializer="sigmoid_uniform",
    ),
    loss=losses.choose("sse"),
    corruption=corruptions.choose("masking"),
    optimizer=OptimizerSpec("sgd", 0.02),
    batch_size=128,
)

Params = dict[str, Any]


class Best(NamedTuple):
    """A classifier at the step at which it was best.

    Attributes:
      params: the parameters: "encoder", those of the autoencoder, "softmax_kernel"
        and "softmax_bias".
      step: the first step at which its validation accuracy was highest.
      accuracy: the accuracy on the validation images, in [0, 1].
    """

    params: Params
    step: int
    accuracy: float


def encoders(images: np.ndarray, seed: int, epochs: int) -> dict[str, Any]:
    """A seed's encoder as drawn, and after training as a denoiser from there.

    Args:
      images: the training images, (N, 28, 28, 1) in [0, 1], without labels.
      seed: the seed of the draw, the order of the images and the masks.
      epochs: the number of epochs of denoising.

    Returns:
      The autoencoder's parameters by arm.
    """
    tx = create_optimizer(DENOISER.optimizer)
    state = create_state(DENOISER.model, tx, seed, ema=False)
    drawn = jax.tree.map(jnp.copy, state.params)  # the step donates its state
    steps, images = compiled_steps(DENOISER), jnp.asarray(images)
    for epoch in range(1, epochs + 1):
        stop = epoch * (len(images) // DENOISER.batch_size)
        state, _ = steps(state, zero_sums(), images, stop, seed, MASKED)
    return dict(zip(ARMS, (drawn, state.params), strict=True))


def fine_tune(
    model: nn.Module, encoder: Any, train: Split, val: Split, *, seed: int, steps: int
) -> Best:
    """Trains encoder and softmax layer with Adam on cross-entropy.

    Args:
      model: the autoencoder.
      encoder: the autoencoder's parameters. The softmax layer starts at zero.
      train: the labelled images, a multiple of `BATCH`.
      val: the images that the step is chosen on.
      seed: the seed of the order of the images.
      steps: the number of steps, a multiple of `EVERY`.
    """
    params = {
        "encoder": encoder,
        "softmax_kernel": jnp.zeros((np.prod(model.code_shape), CLASSES)),
        "softmax_bias": jnp.zeros(CLASSES),
    }
    opt_state = optax.adam(RATE).init(params)
    best, train = Best(params, 0, 0.0), Split(*map(jnp.asarray, train))
    for first in range(0, steps, EVERY):
        params, opt_state = _some_steps(model)(params, opt_state, *train, seed, first)
        found = accuracy(model, params, *val)
        if found > best.accuracy:
            best = Best(params, first + EVERY, found)
    return best


@functools.cache
def _some_steps(model):
    def run(params, opt_state, images, labels, seed, first):
        def step(carry, i):
            params, opt_state = carry
            epoch, place = jnp.divmod(i * BATCH, len(images))
            key = keys.stream(seed, "labelled_order", epoch)
            order = jax.random.permutation(key, len(images))
            batch = jax.lax.dynamic_slice(order, (place,), (BATCH,))
            batch = images[batch], labels[batch]
            grads = jax.grad(cross_entropy, argnums=1)(model, params, *batch)
            updates, opt_state = optax.adam(RATE).update(grads, opt_state)
            return (optax.apply_updates(params, updates), opt_state), None

        steps = first + jnp.arange(EVERY)
        return jax.lax.scan(step, (params, opt_state), steps)[0]

    return quick_jit(run)


def cross_entropy(
    model: nn.Module, params: Params, images: jax.Array, labels: jax.Array
) -> jax.Array:
    """Mean cross-entropy over a batch."""
    losses = optax.softmax_cross_entropy_with_integer_labels
    return losses(logits(model, params, images), labels).mean()


def logits(model: nn.Module, params: Params, images: jax.Array) -> jax.Array:
    """Logits (B, 10) of images (B, H, W, C)."""
    code = model.apply({"params": params["encoder"]}, images, method="encode")
    units = code.reshape(len(images), -1)
    return jnp.dot(units, params["softmax_kernel"]) + params["softmax_bias"][None]


def accuracy(
    model: nn.Module, params: Params, images: np.ndarray, labels: np.ndarray
) -> float:
    """Share of the images whose class is found."""
    classes = functools.partial(_classes(model), params)
    return float(np.mean(np.stack(list(in_batches(classes, images))) == labels))


@functools.cache
def _classes(model):
    return quick_jit(lambda params, images: logits(model, params, images).argmax(-1))
