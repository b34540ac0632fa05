"""Runs that a sweep lacks, and the command that does them, in sentences."""

from caejax.config.length import FEW_STEPS
from caejax.report.read import SweepFiles


def lacking(sweep: SweepFiles) -> str:
    """How many runs there are no values of: "5 of 8 runs are missing"; "" of none."""
    failed = _failed(sweep)
    missing = _left(sweep) - failed
    parts = []
    if missing:
        parts.append(
            f"{_runs(sweep, missing)} {'are' if missing > 1 else 'is'} missing"
        )
    if failed:
        count = f"{failed:,}" if missing else _runs(sweep, failed)
        parts.append(f"{count} {'have' if failed > 1 else 'has'} failed")
    return " and ".join(parts)


def short_runs(sweep: SweepFiles) -> str:
    """How many runs took too few steps to learn much; "" where none did.

    Of data that are swept this is not known when a sweep begins.
    """
    few = sum(row.get("steps", FEW_STEPS) < FEW_STEPS for row in sweep.rows)
    if not few:
        return ""
    return (
        f"{_runs(sweep, few)} took less than {FEW_STEPS} steps, in which few models "
        "learn much"
    )


def first_look(sweep: SweepFiles) -> list[str]:
    """That all else is said of a part of the runs, where it is."""
    if not (what := lacking(sweep)):
        return []
    return [f"This is a first look: {what}, so what follows may still change."]


def how_to_finish(sweep: SweepFiles, command: str) -> list[str]:
    """What does the runs that are not done; code is in backticks.

    Args:
      sweep: what the sweep's folder holds.
      command: the command that has made it; "" where that is not known.
    """
    if not (what := lacking(sweep)):
        return []
    mend = "mend what stands below under Failed runs, and " * bool(_failed(sweep))
    again = f", `{command}`" if command else ""
    return [
        f"First of all finish the sweep: {what}; {mend}give the command that began it "
        f"once more{again}. It keeps the runs that are done."
    ]


def _left(sweep):
    return sum(row["status"] != "done" for row in sweep.rows)


def _failed(sweep):
    return sum(row["status"] == "failed" for row in sweep.rows)


def _runs(sweep, count):
    return f"{count:,} of {len(sweep.rows):,} runs"
