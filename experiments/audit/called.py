"""What the packages' modules need, to be imported and called."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any


def called(module: Any, call: Callable[..., Any]) -> Any:
    """A module whose call is `call(forward, *inputs)`, of its own forward.

    Args:
      module: a `torch.nn.Module`, which is changed: its layers keep their names.
      call: what is done instead; it picks the image among several results, names
        arguments, or moves channels to where `diagnose` looks for them.
    """
    forward = module.forward
    module.forward = lambda *inputs: call(forward, *inputs)
    return module


@functools.cache
def declare_operators() -> None:
    """Lets torchvision, which other packages import, be imported beside a CPU's torch.

    The compiled operators of its usual wheel cannot be loaded then. Nothing here calls
    them, but two have to be declared before it is imported.
    """
    import torch

    (folder,) = importlib.util.find_spec("torchvision").submodule_search_locations
    try:
        torch.ops.load_library(f"{folder}/_C.so")
    except OSError:
        for name in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", schema)
