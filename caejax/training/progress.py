"""How far a run is, besides its state: what is stored beside every checkpoint."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Begun(NamedTuple):
    """What there is of an epoch in whose midst a run was stopped.

    Attributes:
      sums: the sums of the metrics of the epoch's steps, by name.
      seconds: the seconds that those steps took.
      looked: the last step after which all was done that was to be done there, such
        as measuring checkerboards; the epoch's first one where there is none.
    """

    sums: Mapping[str, float]
    seconds: float
    looked: int


class Progress(NamedTuple):
    """What a run has found out so far.

    Attributes:
      measured: whether the untrained model has been measured, which is done after the
        first steps; all below but `begun` is of no meaning before.
      train_seconds: the seconds that the steps took, compilation left out.
      best_loss: the lowest validation loss.
      best_step: the step with the lowest validation loss.
      stale_epochs: the number of epochs since the best step.
      init: the metrics of the untrained model.
      begun: the epoch that the state lies in the midst of; None at its end, where
        all checkpoints lie but those of runs that were stopped.
    """

    measured: bool = False
    train_seconds: float = 0.0
    best_loss: float = 0.0
    best_step: int = 0
    stale_epochs: int = 0
    init: Mapping[str, float] = MappingProxyType({})
    begun: Begun | None = None

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
            begun=None,
        )


def to_json(progress: Progress) -> dict[str, Any]:
    """Plain data; of an unmeasured model little more than that."""
    values = progress._asdict() if progress.measured else {"measured": False}
    begun = progress.begun
    return values | {"begun": begun._asdict() if begun else None}


def from_json(values: Mapping[str, Any]) -> Progress:
    """Reads what `to_json` made, or an older version of it, {} before measuring.

    Raises:
      TypeError: it is something else.
    """
    values = {"measured": bool(values)} | dict(values)
    begun = values.pop("begun", None)
    progress = _checked(Progress(**values), Progress())
    if begun is None:
        return progress
    return progress._replace(begun=_checked(Begun(**begun), _BEGUN))


_BEGUN = Begun({}, 0.0, 0)


def _checked(found, example):
    for value, default in zip(found, example, strict=True):
        kind = Mapping if isinstance(default, Mapping) else type(default)
        if not isinstance(value, kind | int if kind is float else kind):
            raise TypeError(f"{value!r} is no {kind.__name__}")
    return found
