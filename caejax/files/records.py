"""Records that a command prints, and writes as JSON where it is asked to."""

import argparse
from typing import Any

from caejax.files.atomic import replacing
from caejax.files.paths import expand


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --json, which `tell` answers."""
    text = "write the record there, too; - prints it alone"
    parser.add_argument("--json", metavar="FILE", help=text)


def tell(found: Any, json: str | None) -> None:
    """Prints a record, and writes it as JSON where it is asked for.

    Args:
      found: the record, which has `to_json`.
      json: a file to write; "-" prints JSON alone; None writes none.

    Raises:
      CaejaxError: the file cannot be written.
    """
    if json == "-":
        print(found.to_json())
        return
    print(found)
    if json:
        with replacing(expand(json, "--json")) as file:
            file.write(found.to_json().encode() + b"\n")
