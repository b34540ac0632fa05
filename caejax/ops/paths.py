"""Ways to compute the same layers, of which one device likes one, another another.

They give the same values and gradients but for rounding:

- "matmul": upsampling in polyphase form, of wide layers with the phases apart;
  convolutions' gradients, and those of few channels themselves, as matrix products;
  3 x 3 convolutions of very wide layers in Winograd's form, wide ones behind a smooth
  resize with half of the products. Made for CPUs.
- "polyphase": upsampling in polyphase form, JAX's convolutions.
- "stock": the layers of Flax as they come.
- "auto": "matmul" on a CPU, "polyphase" elsewhere. What is dilated, a transposed
  convolution and a strided one's gradient, is slow on GPUs, too (JAX's issues 8537,
  23783 and 31662), and no other path has it.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

from caejax.errors import WrongValue

PATHS = ("auto", "matmul", "polyphase", "stock")

_path = contextvars.ContextVar("path", default="auto")


@contextlib.contextmanager
def use(path: str) -> Iterator[None]:
    """Takes a path for all operations that are traced inside.

    Args:
      path: the path's name, one of `PATHS`; "auto" keeps what is taken outside.
    """
    token = _path.set(_path.get() if path == "auto" else path)
    try:
        yield
    finally:
        _path.reset(token)


def chosen() -> str:
    """The path to be taken here, "auto" resolved."""
    return resolve(_path.get())


def resolve(path: str) -> str:
    """What a path means on this device: "matmul", "polyphase" or "stock"."""
    if path not in PATHS:
        raise WrongValue(f"path is {path!r}; known: {', '.join(PATHS)}")
    if path != "auto":
        return path
    return "matmul" if jax.default_backend() == "cpu" else "polyphase"
