"""What commands that stand alone have in common: their parser."""

import argparse


def create_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser that shows its description as it is written, and takes whole flags."""
    return argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
