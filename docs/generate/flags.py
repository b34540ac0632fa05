"""Flags of command lines within texts."""

import re

_FLAG = re.compile(r'(?<=<span class="pre">)--?\w[\w-]*')


def whole(page: str) -> str:
    """A page's HTML, in which no flag is broken behind its hyphens."""
    return _FLAG.sub(r'<span class="whole">\g<0></span>', page)
