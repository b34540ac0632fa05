"""Errors of the user's own model, each as one line that says what failed."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from caejax.errors import CaejaxError, lacks_memory

_LONGEST = 200  # characters of what the model said
# How libraries speak of arrays whose shape does not fit.
_SHAPES = re.compile(
    r"\b(\w*shapes?|sizes?|channels?|\w*dim(ension)?(s|al)?|ax[ei]s|rank|batch\w*"
    r"|broadcast\w*|unpack|\dd|tuple index)\b",
    re.IGNORECASE,
)


def is_of_shapes(error: Exception) -> bool:
    """Whether an error may come from the shape of what a model was given."""
    return bool(_SHAPES.search(str(error)))


@contextlib.contextmanager
def told(
    what: str, inputs: Sequence[Any], mend: Callable[[Exception], str]
) -> Iterator[None]:
    """While it is open, whatever is raised becomes one line, and is its cause.

    Args:
      what: the model, in words.
      inputs: what it is called with; their shapes are named.
      mend: what helps, by the error; "" where that is not known.

    Raises:
      CaejaxError: something was raised, other than that memory is exhausted.
    """
    try:
        yield
    except Exception as error:
        if lacks_memory(error):
            raise
        shapes = " and ".join(str(tuple(getattr(x, "shape", ()))) for x in inputs)
        said = " ".join(str(error).split()).removesuffix(".")
        said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
        kind = "" if isinstance(error, CaejaxError) else type(error).__name__
        cause = ": ".join(filter(None, (kind, said)))
        line = f"{what} cannot be run with inputs of shape {shapes}: {cause}"
        helps = mend(error)
        raise CaejaxError(f"{line}; {helps}" if helps else line) from error
