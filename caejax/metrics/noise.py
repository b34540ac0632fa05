"""The corrupted images that models are measured on: the same for every model."""

import functools
from collections.abc import Callable

import jax

from caejax.corruptions import Chosen, corrupt
from caejax.ops.images import as_float
from caejax.runtime import keys
from caejax.runtime.compilation import quick_jit


def noise_key(seed: int, split: str) -> jax.Array:
    """The key of the noise that a split, "val" or "test", is measured under."""
    return keys.stream(seed, f"{split}_noise")


def corrupt_examples(
    corruption: Chosen,
    key: jax.Array,
    images: jax.Array,
    index: jax.Array,
    level: float,
) -> jax.Array:
    """Corrupts each example with a key of its own, folded from its index.

    So the result for an example is the same in any batch and for every model.

    Args:
      corruption: the corruption, as `caejax.corruptions.choose` returns it.
      key: the random key of the split's noise.
      images: the examples' images, (B, H, W, C).
      index: each example's index in its split, (B,).
      level: the corruption's level.
    """

    def one(i, image):
        own = jax.random.fold_in(key, i)
        return corrupt(corruption, own, image[None], level)[0]

    return jax.vmap(one)(index, images)


@functools.cache
def compiled_corruption(corruption: Chosen) -> Callable[..., jax.Array]:
    """Makes the function (key, images, index, level) of `corrupt_examples`.

    Images may be uint8.
    """

    def run(key, images, index, level):
        return corrupt_examples(corruption, key, as_float(images), index, level)

    return quick_jit(run)
