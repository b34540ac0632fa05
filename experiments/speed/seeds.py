"""Wall time of many seeds in one program (`vmap`) against that of one run.

    python -m experiments.speed.seeds --data=DIR

DIR holds MNIST's four IDX files; without it, digits of the same size are drawn. Every
measurement is a process of its own in an empty folder; a first one fills the cache of
compiled programs and does not count. Evaluation and checkpoints count, start-up and
figures do not; `steps` is the time that the devices took for training steps alone.
Writes seeds.json and seeds.md.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from caejax.report.tables import to_markdown
from caejax.sweep.executors import start_for
from caejax.training.images import load_images
from experiments.shared.commands import run_module
from experiments.shared.turns import in_turns, ratio_quartiles
from experiments.speed.sweeping import (
    digits_config,
    digits_name,
    finished_rows,
    sweep_parser,
)

MODULE = "experiments.speed.seeds"
TARGET = 6

Record = dict[str, Any]


def run(seeds: int, path: str, folder: Path, args: argparse.Namespace) -> Record:
    """Trains so many seeds in this process."""
    config = digits_config(args)
    config.model.path = path
    config.train.batch_size = args.batch
    config.sweep = {"seed": {"field": "seed", "values": tuple(range(seeds))}}
    config.executor.name = "vmap"
    start_for(config)
    load_images(config)
    began = time.perf_counter()
    rows = finished_rows(config, folder / "sweep")
    seconds = time.perf_counter() - began
    return {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "seconds": round(seconds, 3),
        "steps": round(sum(row["train_seconds"] for row in rows), 3),
    }


def measure(seeds: int, path: str, cache: str, argv: list[str]) -> Record:
    """What `run` says, of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = *argv, f"--one={seeds}", f"--path={path}", f"--folder={folder}"
        run_module(MODULE, *words, JAX_COMPILATION_CACHE_DIR=cache)
        return json.loads((Path(folder) / "record.json").read_text())


def report(results: Record) -> str:
    """The table of medians, and of ratios within a round."""
    lines = []
    for path, rounds in results["rounds"].items():
        for what in ("seconds", "steps"):
            one, many = ([x[i][what] for x in rounds] for i in ("one", "many"))
            _, ratio, _ = ratio_quartiles(many, one)
            medians = [f"{np.median(x):.2f}" for x in (one, many)]
            lines.append([path, what, *medians, f"{ratio:.2f}", str(TARGET)])
    many = f"{results['setting']['seeds']} seeds"
    return to_markdown(["path", "time", "1 run", many, "ratio", "target"], lines)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = sweep_parser(__doc__, epochs=5)
    add = parser.add_argument
    add("--seeds", type=int, default=32)
    add("--batch", type=int, default=128)
    add("--paths", default="auto", help="of caejax.ops.paths, with commas between")
    add("--one", type=int, default=0, help=argparse.SUPPRESS)
    add("--path", default="auto", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measures one run and many, in turns, on each path."""
    args = parse(argv)
    if args.one:
        record = run(args.one, args.path, args.folder, args)
        (args.folder / "record.json").write_text(json.dumps(record))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    names = ("seeds", "batch", "epochs", "limit")
    setting = {name: getattr(args, name) for name in names}
    setting["data"] = digits_name(args)
    rounds: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for path in args.paths.split(","):
            counts = {"one": 1, "many": args.seeds}
            found: dict[str, list[Record]] = {name: [] for name in counts}
            for name in in_turns(list(counts), args.rounds + 1):
                found[name].append(measure(counts[name], path, cache, argv))
                print(path, name, found[name][-1], flush=True)
            # The first round compiled.
            pairs = zip(found["one"][1:], found["many"][1:], strict=True)
            rounds[path] = [{"one": one, "many": many} for one, many in pairs]
    results = {"setting": setting, "rounds": rounds}
    (args.out / "seeds.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "seeds.md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main(sys.argv[1:])
