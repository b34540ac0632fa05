"""`report`: figures, tables and the page anew, from the files in the folder."""

from caejax.commands.options import Options, needed_workdir
from caejax.report import report


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    report.report(needed_workdir(options))
    return 0
