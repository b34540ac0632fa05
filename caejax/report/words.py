"""Words that findings are put in."""

from collections.abc import Mapping, Sequence

import numpy as np

from caejax.metrics.table import METRICS, formatted
from caejax.report.leads import INPUT, PSNR, Setting, is_worse
from caejax.report.settings import label

NAMED = 3  # conditions or choices that a sentence has room for
# Words that begin sentences; other first words may be names.
_OWN = ("no", "one", "in", "of", "the")


def joined(words: Sequence[str]) -> str:
    """Words, the last behind "and"."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def some(names: Sequence[str]) -> str:
    """Names, as many as a sentence has room for, and that there are others."""
    return joined(names if len(names) <= NAMED else [*names[:NAMED], "others"])


def span(values: Sequence[float], digits: int) -> str:
    """The smallest and the largest value, once where they look the same."""
    texts = [f"{value:z.{digits}f}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(texts))


def bracketed(*texts: str) -> str:
    """What is told besides, in brackets behind a word; "" of nothing."""
    told = ", ".join(filter(None, texts))
    return f" ({told})" if told else ""


def at(condition: Setting, conditions: Sequence[str]) -> str:
    """Where: " at noise level 0.1"; "" without conditions."""
    if not conditions:
        return ""
    pairs = zip(conditions, condition, strict=True)
    return f" at {joined([f'{label(field)} {value}' for field, value in pairs])}"


def settings(count: int, conditions: Sequence[str]) -> str:
    """So many settings of what conditions set: "5 settings of noise level"."""
    return f"{count} settings of {joined([label(f) for f in conditions])}"


def ripple(value: float) -> str:
    """A DC ripple with its unit and a minus sign."""
    return f"{value:.0f} {METRICS['dc_ripple_db'].unit}".replace("-", "\u2212")


def begun(text: str) -> str:
    """A sentence with a capital, unless it begins with a name."""
    return text[0].upper() + text[1:] if text.split(" ")[0] in _OWN else text


def worse_than_input(values: Mapping[str, float]) -> str:
    """That a model's output is worse than its input; "" where it is not.

    Args:
      values: the values of a run's summary.
    """
    ours, noisy = values.get(PSNR, np.inf), values.get(INPUT, np.inf)
    if not is_worse(ours, noisy):
        return ""
    return (
        f"the model is worse than its input: test PSNR {formatted(PSNR, ours)} dB, the "
        f"input's {formatted(INPUT, noisy)} dB; train it longer, or with other settings"
    )
