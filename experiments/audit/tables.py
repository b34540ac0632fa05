"""The tables of results.md."""

from collections.abc import Sequence

import scipy.stats

from caejax.report.tables import to_markdown
from experiments.audit.records import KINDS, OTHER, RESIZE, SHUFFLE, TRANSPOSED
from experiments.shared.cells import bracketed
from experiments.shared.rows import Row, by_columns, select


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score; the whole range of none."""
    if not total:
        return 0.0, 1.0
    low, high = scipy.stats.binomtest(count, total).proportion_ci(method="wilson")
    return float(low), float(high)


def share(count: int, total: int) -> str:
    """A count of a total, its share and the interval: "3 of 4: 75 % [30, 95]"."""
    if not total:
        return "0 of 0"
    low, high = (100 * x for x in wilson(count, total))
    return f"{count} of {total}: {100 * count / total:.0f} % [{low:.0f}, {high:.0f}]"


def questions(rows: Sequence[Row], places: Sequence[Row]) -> dict[str, tuple[int, int]]:
    """What is counted: for each sentence how many of how many.

    Args:
      rows: of architectures, results.csv.
      places: of their places, places.csv.
    """
    rows = select(rows, status="ok")
    enlarging = [x for x in rows if x["places"]]
    able = select(enlarging, by_construction="no")
    measured = [x for x in able if x["ripple_db"] != ""]
    transposed = select(places, kind=TRANSPOSED)
    shuffles = select(places, kind=SHUFFLE)
    known = {x["architecture"] for x in enlarging}
    users = {
        how: {x["architecture"] for x in select(places, kind=how)} & known
        for how in KINDS
    }
    unpaired = {x["architecture"] for x in select(transposed, paired="no")}
    paired = [x for x in select(transposed, paired="yes") if x["draws_db"] != ""]
    exact = [x for x in transposed if x["kernel"] == x["stride"]]
    return {
        "architectures that enlarge": (len(enlarging), len(rows)),
        **{
            f"of these, with a place of the kind “{how}”": (len(found), len(enlarging))
            for how, found in users.items()
        },
        "of these, by more than resizes": (len(able), len(enlarging)),
        "of those that were probed, that draw above -60 dB at every seed": (
            sum(x["clean_seeds"] == 0 for x in measured),
            len(measured),
        ),
        "transposed: places whose stride divides the kernel": (
            len(select(transposed, paired="yes")),
            len(transposed),
        ),
        "transposed: places whose kernel is the stride": (len(exact), len(transposed)),
        "transposed: architectures with a place that is not paired": (
            len(unpaired),
            len(users[TRANSPOSED]),
        ),
        "transposed and paired: probed places that draw above -60 dB at every seed": (
            sum(x["clean_seeds"] == 0 for x in paired),
            len(paired),
        ),
        "to pixels: places that start with equal gains (ICNR)": (
            len(select(shuffles, icnr="yes")),
            len(shuffles),
        ),
        "to pixels: places with biases, one a phase": (
            len(select(shuffles, phase_biases="yes")),
            len(shuffles),
        ),
    }


def write(rows: Sequence[Row], places: Sequence[Row]) -> str:
    """results.md, from the rows of both tables."""
    counted = [(text, share(*found)) for text, found in questions(rows, places).items()]
    parts = [
        "# The audit, in tables",
        "Written by `python -m experiments.audit.study`; intervals are 95 %, of shares "
        "by Wilson's score, of dB over seeds by Student's t.",
        "## What is counted",
        to_markdown(("", "how many"), counted),
        "## By family",
        to_markdown(*by_family(rows)),
        "## Each architecture",
        to_markdown(*each(rows)),
        "## Each place that enlarges by a kernel",
        to_markdown(*each_place(places)),
    ]
    if failed := select(rows, status="failed"):
        lines = [(x["package"], x["architecture"], x["why"]) for x in failed]
        parts += [
            "## Not diagnosed",
            to_markdown(("package", "architecture", "why"), lines),
        ]
    return "\n\n".join(x.rstrip("\n") for x in parts) + "\n"


_Table = tuple[Sequence[str], list[Sequence[str]]]


def by_family(rows: Sequence[Row]) -> _Table:
    """A line for each family: how many enlarge by what, and draw.

    The last two columns are of those that are not clean by construction.
    """
    header = (
        *("family", "architectures", "enlarge", *KINDS),
        *("clean by construction", "not probed", "probed: draw at every seed"),
    )
    lines = []
    for (family,), group in by_columns(rows, ["family"]).items():
        found = [x for x in select(group, status="ok") if x["places"]]
        able = select(found, by_construction="no")
        probed = [x for x in able if x["ripple_db"] != ""]
        lines.append(
            (
                family,
                str(len(group)),
                str(len(found)),
                *(str(sum(x[how] > 0 for x in found)) for how in KINDS),
                share(len(found) - len(able), len(found)),
                str(len(able) - len(probed)),
                share(sum(x["clean_seeds"] == 0 for x in probed), len(probed)),
            )
        )
    return header, lines


def each(rows: Sequence[Row]) -> _Table:
    """A line for each architecture that was diagnosed."""
    header = (
        *("architecture", "package", "transposed", "to pixels", "resize", "other"),
        *("period", "draws, dB", "clean seeds"),
    )
    lines = [
        (
            x["architecture"],
            x["package"],
            *(str(x[how]) for how in (TRANSPOSED, SHUFFLE, RESIZE, OTHER)),
            str(x["period"]),
            _decibels(x, "ripple_db"),
            _clean_seeds(x),
        )
        for x in select(rows, status="ok")
    ]
    return header, lines


def each_place(places: Sequence[Row]) -> _Table:
    """A line for each place with a kernel; alike ones of an architecture share one."""
    header = (
        *("architecture", "operation", "kernel", "stride", "places", "paired", "ICNR"),
        *("phase biases", "gains, dB", "draws, dB"),
    )
    kernels = [x for x in places if x["kind"] in (TRANSPOSED, SHUFFLE)]
    alike = by_columns(
        kernels,
        ["architecture", "operation", "kernel", "stride", "paired", "icnr"]
        + ["phase_biases"],
    )
    lines = [
        (
            *map(str, key[:4]),
            str(len(group)),
            *key[4:],
            _range(group, "kernel_db"),
            _range(group, "draws_db"),
        )
        for key, group in alike.items()
    ]
    return header, lines


def _clean_seeds(row):
    """At how many seeds it is clean; of what was not probed, what tells it."""
    seeds = f"{row['clean_seeds']} of {row['seeds']}"
    if row["ripple_db"] != "":
        return seeds
    if row["by_construction"] == "yes":
        return "by construction"
    known = row[TRANSPOSED] or row[SHUFFLE]
    return f"{seeds}, by kernels" if known else "not known"


def _decibels(row, name):
    if row[name] == "":
        return "not probed"
    ends = (row[f"{name}_low"], row[f"{name}_high"])
    return bracketed(row[name], *(None if x == "" else x for x in ends), ".1f")


def _range(group, name):
    known = [x[name] for x in group if x[name] != ""]
    if not known:
        return ""
    low, high = f"{min(known):.1f}", f"{max(known):.1f}"
    return low if low == high else f"{low} to {high}"
