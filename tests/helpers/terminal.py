"""What a terminal has been sent, without what moves its cursor."""

import re

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def lines_shown(output):
    """All lines that were to be seen at any time."""
    return re.split(r"[\r\n]+", _CODES.sub("", output))
