"""The architectures, by the package that brings them, which is imported when built.

Each is built as published where it enlarges (strides, kernels, modes of resizing,
biases, initialisation); widths, depths and images are small.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from caejax.errors import chosen
from experiments.audit import (
    of_diffusers,
    of_monai,
    of_segmentation_models,
    of_torchvision,
    of_transformers,
)


class Architecture(NamedTuple):
    """One architecture.

    Attributes:
      package: that brings it.
      family: what it is for.
      name: of its class, with what is chosen of it in brackets.
      build: makes the module, freshly initialised, and an input that it takes.
    """

    package: str
    family: str
    name: str
    build: Callable[[], tuple[Any, Any]]


PACKAGES = {
    "monai": of_monai,
    "torchvision": of_torchvision,
    "segmentation-models-pytorch": of_segmentation_models,
    "transformers": of_transformers,
    "diffusers": of_diffusers,
}


def every() -> Iterator[Architecture]:
    """All of them, package by package."""
    for package, module in PACKAGES.items():
        for family, name, build in module.ARCHITECTURES:
            yield Architecture(package, family, name, build)


def named(text: str) -> list[Architecture]:
    """Those that a comma list names, "all" for all.

    Raises:
      CaejaxError: a name is not known.
    """
    known = {x.name: x for x in every()}
    return [known[name] for name in chosen(text.split(","), known, "only")]
