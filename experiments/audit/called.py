"""What the packages' modules need, to be imported and called."""

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


def load_torchvision() -> None:
    """Imports torchvision, which other packages import, also beside a CPU's torch.

    The compiled operators of its usual wheel cannot be loaded then, which nothing here
    calls; but one of them has to be declared.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        torch.library.define(
            "torchvision::nms", "(Tensor dets, Tensor scores, float iou) -> Tensor"
        )
        import torchvision  # noqa: F401
