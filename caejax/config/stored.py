"""Configs as runs have stored them."""

import json
from pathlib import Path

from ml_collections import ConfigDict

from caejax.config import from_json
from caejax.errors import CaejaxError
from caejax.files.atomic import damaged, read_json

_MEND = "put a copy of it back, or choose another --workdir"


def read_stored(path: Path) -> ConfigDict:
    """Reads the config.json of a run or a sweep.

    Raises:
      FileNotFoundError: there is none.
      CaejaxError: it is damaged.
    """
    values = read_json(path, _MEND)
    try:
        config = from_json(json.dumps(values))
    except (CaejaxError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, error, _MEND) from error
    for name, axis in values.get("sweep", {}).items():
        fields = axis.get("field", "config") if isinstance(axis, dict) else None
        fields = [fields] if isinstance(fields, str) else fields
        named = isinstance(fields, list) and all(isinstance(f, str) for f in fields)
        if not named:
            raise damaged(path, f"the axis {name!r} names no field", _MEND)
    return config
