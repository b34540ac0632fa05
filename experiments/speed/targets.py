"""Whether an accelerator reaches the aims, from the files that gpu.sh has written.

    python -m experiments.speed.targets --out=experiments/speed/gpu

DIR has epoch.json, results.json and seeds.json; what is missing or has failed is not
reached. Writes targets.md, and exits with 1 where an aim is not reached.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caejax.report.tables import to_markdown
from experiments.shared.commands import create_parser
from experiments.shared.turns import ratio_quartiles
from experiments.speed import seeds, tables
from experiments.speed.interleave import REFERENCE

EPOCH_SECONDS = 0.3
TORCH_RATIO = 3
COMPILED = "torch_compile"  # on a GPU with CUDA graphs

Record = dict[str, Any]


class Aim(NamedTuple):
    """An aim and what was measured.

    Attributes:
      what: the aim in words, its bound included.
      found: the measured number; None where there is none.
      reached: whether the number is within the bound.
      where: the device; "" where nothing was measured.
    """

    what: str
    found: float | None
    reached: bool
    where: str


def judge(out: Path) -> list[Aim]:
    """All aims, from the files of a folder."""
    many = _read(out / "seeds.json")
    return [
        _epoch(_read(out / "epoch.json")),
        _seeds(many, "training steps", "steps"),
        _seeds(many, "evaluation and checkpoints too", "seconds"),
        _torch(_read(out / "results.json")),
    ]


def _read(path: Path) -> Record:
    return json.loads(path.read_text()) if path.exists() else {}


def _epoch(results: Record) -> Aim:
    what = f"one epoch of system A in bfloat16, s: at most {EPOCH_SECONDS}"
    seconds = results.get("seconds", {}).get("bfloat16", {}).get("auto")
    found = float(np.median(seconds)) if seconds else None
    reached = found is not None and found <= EPOCH_SECONDS
    return Aim(what, found, reached, results.get("device", ""))


def _seeds(results: Record, what: str, name: str) -> Aim:
    what = f"32 seeds in one program over one run, {what}: at most {seeds.TARGET}"
    rounds = results.get("rounds", {}).get("auto")
    if not rounds or results["setting"]["seeds"] != 32:
        return Aim(what, None, False, "")
    one, many = ([x[count][name] for x in rounds] for count in ("one", "many"))
    _, ratio, _ = ratio_quartiles(many, one)
    return Aim(what, ratio, ratio <= seeds.TARGET, rounds[0]["one"]["device"])


def _torch(results: Record) -> Aim:
    """Against the fastest PyTorch, of which the compiled one must have run."""
    what = f"fastest PyTorch's time over caejax's, system A: at least {TORCH_RATIO}"
    for record in results.get("systems", []):
        summaries = tables.summarise(record)
        if {REFERENCE, COMPILED} <= set(summaries):
            _, ratio, _ = summaries[tables.best_torch(summaries)].ratio
            platform = record["implementations"][COMPILED]["platform"]
            return Aim(what, ratio, ratio >= TORCH_RATIO, platform)
    return Aim(what, None, False, "")


def report(aims: list[Aim]) -> str:
    """A line for each aim. What ran on a CPU is no measurement of an accelerator."""
    lines = []
    for what, found, reached, where in aims:
        number = "not measured" if found is None else f"{found:.3g}"
        verdict = "pass" if reached and where != "cpu" else "FAIL"
        lines.append([what, number, where or "-", verdict])
    return to_markdown(["aim", "measured", "on", "verdict"], lines)


def main(argv: list[str] | None = None) -> int:
    """Writes and prints the table."""
    parser = create_parser(__doc__, out=Path(__file__).parent / "gpu")
    args = parser.parse_args(argv)
    text = report(judge(args.out))
    (args.out / "targets.md").write_text(text)
    print(text)
    return int("FAIL" in text)


if __name__ == "__main__":
    sys.exit(main())
