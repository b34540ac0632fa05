"""Wall time of a sweep: worker processes against one process, on all cores and one.

    python -m experiments.speed.sweeps --data=DIR

DIR holds MNIST's four IDX files; without it, digits of the same size are drawn. Twelve
runs (2 bottlenecks x 3 decoders x 2 noise levels), from an empty folder and an empty
compilation cache, in turns. Start-up, compilation, evaluation and checkpoints count,
figures do not. Writes sweeps.json, after every turn, and sweeps.md: the same command,
or one with more rounds, goes on where this one was stopped.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from caejax.files.atomic import write_atomically, write_json
from caejax.report.tables import to_markdown
from caejax.runtime.cores import usable_cores
from caejax.sweep.executors import start_for
from experiments.shared.turns import ratio_quartiles, whose_turn
from experiments.speed.sweeping import (
    digits_config,
    digits_name,
    finished_rows,
    seconds_of,
    sweep_parser,
)

MODULE = "experiments.speed.sweeps"
WAYS = {
    "processes": "`processes`, one worker a core",
    "serial": "`serial`, all cores share each batch",
    "one core": "`serial`, bound to one core",
}
TARGETS = {"serial": 1.1, "one core": 1.6}

Record = dict[str, Any]


def run(way: str, folder: Path, args: argparse.Namespace) -> None:
    """Does the sweep in one of the ways, in this process."""
    if way == "one core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    config = digits_config(args)
    decoders = ("deconv_k3", "deconv_k4", "nearest_k3")
    config.sweep = {
        "bottleneck": {"field": "model.latent_channels", "values": (4, 16)},
        "decoder": {"field": "model.upsampling", "values": decoders},
        "noise": {"field": "corruption.level", "values": (0.1, 0.5)},
    }
    config.executor.name = "processes" if way == "processes" else "serial"
    start_for(config)
    finished_rows(config, folder)


def report(results: Record) -> str:
    """The table of medians, and of ratios to `processes` within a round."""
    times = results["seconds"]
    lines = []
    for way, name in WAYS.items():
        _, ratio, _ = ratio_quartiles(times[way], times["processes"])
        target = f"{TARGETS[way]}" if way in TARGETS else ""
        lines.append([name, f"{np.median(times[way]):.0f}", f"{ratio:.2f}", target])
    header = ["twelve runs by", "seconds", "over `processes`", "target"]
    return to_markdown(header, lines)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = sweep_parser(__doc__, epochs=2)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measures all ways in turns."""
    args = parse(argv)
    if args.way:
        run(args.way, args.folder, args)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    setting = {
        "machine": platform.machine(),
        "cores": len(usable_cores()),
        "data": digits_name(args),
        "limit": args.limit,
        "epochs": args.epochs,
    }
    results = resumed(args.out / "sweeps.json", setting)
    while (way := whose_turn(results["seconds"], args.rounds)) is not None:
        results["seconds"][way].append(
            round(seconds_of(MODULE, [*argv, f"--way={way}"]), 1)
        )
        print(f"{way}: {results['seconds'][way][-1]} s", flush=True)
        write_json(args.out / "sweeps.json", results)
    write_atomically(args.out / "sweeps.md", report(results))
    print(report(results))


def resumed(path: Path, setting: Record) -> Record:
    """What the file has, if it is of the same setting, or nothing yet."""
    if path.exists():
        results = json.loads(path.read_text())
        if results["setting"] == setting:
            return results
    return {"setting": setting, "seconds": {way: [] for way in WAYS}}


if __name__ == "__main__":
    main(sys.argv[1:])
