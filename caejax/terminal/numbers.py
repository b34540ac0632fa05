"""Numbers as people write them on command lines, and as they are told.

Python reads more: 1_0 as 10, 0x10 as 16, and digits of every script. Such words are
slips, and what they would have changed is not seen.
"""

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")  # longer ones are refused by Python itself
_NUMBER = re.compile(
    r"[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan)",
    re.IGNORECASE,
)


def counted(count: int | str, thing: str) -> str:
    """So many of a thing: "1 epoch", "1,300 images", "1 or 2 stages".

    Args:
      count: how many, as a number or in words.
      thing: what one is called; of several it has an "s" more.
    """
    text = count if isinstance(count, str) else f"{count:,}"
    return f"{text} {thing}{'s' * (text != '1')}"


def whole(text: str) -> int:
    """Reads a whole number, as 12 or -3.

    Raises:
      ValueError: it is none.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text:.40} is not a whole number")
    return int(text)


def number(text: str) -> float:
    """Reads a number, as 12, .5, 1e-3 or inf.

    Raises:
      ValueError: it is none.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text:.40} is not a number")
    return float(text)


def decibels(text: str) -> float:
    """Reads a threshold in dB; inf and -inf are some.

    Raises:
      ValueError: it is no number, or nan, which nothing is above.
    """
    if math.isnan(value := number(text)):
        raise ValueError(f"{text:.40} is no threshold")
    return value
