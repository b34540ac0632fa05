"""How far a run is, besides its state: what is stored beside every checkpoint."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Progress(NamedTuple):
    """What a run has found out so far.

    Attributes:
      measured: whether the untrained model has been measured, which is done after the
        first steps; all below is of no meaning before.
      train_seconds: the seconds that the steps took, compilation left out.
      best_loss: the lowest validation loss.
      best_step: the step with the lowest validation loss.
      stale_epochs: the number of epochs since the best step.
      init: the metrics of the untrained model.
    """

    measured: bool = False
    train_seconds: float = 0.0
    best_loss: float = 0.0
    best_step: int = 0
    stale_epochs: int = 0
    init: Mapping[str, float] = MappingProxyType({})

    def after_epoch(self, step: int, loss: float, seconds: float) -> "Progress":
        """The progress at an epoch's end.

        Args:
          step: the number of steps done in all.
          loss: the loss on the validation split.
          seconds: the seconds that the epoch's steps took.
        """
        better = loss < self.best_loss
        return self._replace(
            train_seconds=self.train_seconds + seconds,
            best_loss=loss if better else self.best_loss,
            best_step=step if better else self.best_step,
            stale_epochs=0 if better else self.stale_epochs + 1,
        )


def to_json(progress: Progress) -> dict[str, Any]:
    """Plain data; of an unmeasured model nothing but that."""
    return progress._asdict() if progress.measured else {"measured": False}


def from_json(values: Mapping[str, Any]) -> Progress:
    """Reads what `to_json` made, or an older version of it, {} before measuring.

    Raises:
      TypeError: it is something else.
    """
    progress = Progress(**{"measured": bool(values)} | dict(values))
    for value, default in zip(progress, Progress(), strict=True):
        kind = Mapping if isinstance(default, Mapping) else type(default)
        if not isinstance(value, kind | int if kind is float else kind):
            raise TypeError(f"{value!r} is no {kind.__name__}")
    return progress
