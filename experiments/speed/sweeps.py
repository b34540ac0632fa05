"""Wall time of a sweep: worker processes against one process, on all cores and one.

    python experiments/speed/sweeps.py --data=DIR

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
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from caejax.files.atomic import write_atomically, write_json
from caejax.report.tables import to_markdown
from caejax.runtime.devices import usable_cores

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
    # Only now, so that JAX sees as many cores as it may use.
    from caejax.config import default
    from caejax.runtime.compilation import use_cache
    from caejax.runtime.devices import use_cores
    from caejax.sweep.run import run_sweep

    config = default()
    if args.data:
        config.data.source, config.data.name = "idx", "mnist"
        config.data.dir, config.data.val_fraction = args.data, 1 / 12
    config.data.limit = args.limit
    config.train.epochs = args.epochs
    decoders = ("deconv_k3", "deconv_k4", "nearest_k3")
    config.sweep = {
        "bottleneck": {"field": "model.latent_channels", "values": (4, 16)},
        "decoder": {"field": "model.upsampling", "values": decoders},
        "noise": {"field": "corruption.level", "values": (0.1, 0.5)},
    }
    config.executor.name = "processes" if way == "processes" else "serial"
    use_cache()
    use_cores(config.train.batch_size, 1 if way == "processes" else 0)
    rows = run_sweep(config, folder)
    if failed := [row["error"] for row in rows if row["status"] != "done"]:
        raise SystemExit(f"{len(failed)} runs failed: {failed[0]}")


def seconds(way: str, argv: list[str]) -> float:
    """Wall time of a process that does the sweep in one of the ways."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *argv, "--way", way, "--folder", folder]
        cache = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/programs"}
        start = time.perf_counter()
        subprocess.run(command, env=os.environ | cache, check=True)
        return time.perf_counter() - start


def report(results: Record) -> str:
    """The table of medians, and of ratios to `processes` within a round."""
    times = results["seconds"]
    lines = []
    for way, name in WAYS.items():
        ratio = np.median(np.divide(times[way], times["processes"]))
        target = f"{TARGETS[way]}" if way in TARGETS else ""
        lines.append([name, f"{np.median(times[way]):.0f}", f"{ratio:.2f}", target])
    header = ["twelve runs by", "seconds", "over `processes`", "target"]
    return to_markdown(header, lines)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", default="", help="folder of MNIST's IDX files")
    add("--limit", type=int, default=0, help="use so many images; 0 is all")
    add("--epochs", type=int, default=2)
    add("--rounds", type=int, default=3)
    add("--out", type=Path, default=Path(__file__).parent)
    add("--way", choices=WAYS, help=argparse.SUPPRESS)
    add("--folder", type=Path, help=argparse.SUPPRESS)
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
        "data": "mnist" if args.data else "glyphs",
        "limit": args.limit,
        "epochs": args.epochs,
    }
    results = resumed(args.out / "sweeps.json", setting)
    while (way := next_way(results["seconds"], args.rounds)) is not None:
        results["seconds"][way].append(round(seconds(way, argv), 1))
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


def next_way(times: dict[str, list[float]], rounds: int) -> str | None:
    """Whose turn it is; None when all have had theirs."""
    way = min(WAYS, key=lambda way: len(times[way]))
    return way if len(times[way]) < rounds else None


if __name__ == "__main__":
    main(sys.argv[1:])
