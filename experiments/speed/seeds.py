"""Wall time of many seeds in one program (`vmap`) against that of one run.

    python experiments/speed/seeds.py --data=DIR

DIR holds MNIST's four IDX files; without it, digits of the same size are drawn. Every
measurement is a process of its own in an empty folder; a first one fills the cache of
compiled programs and does not count. Evaluation and checkpoints count, start-up and
figures do not; `steps` is the time that the devices took for training steps alone.
Writes seeds.json and seeds.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from caejax.report.tables import to_markdown

TARGET = 6

Record = dict[str, Any]


def run(seeds: int, path: str, folder: Path, args: argparse.Namespace) -> Record:
    """Trains so many seeds in this process."""
    import jax

    from caejax.config import default
    from caejax.runtime.compilation import use_cache
    from caejax.runtime.devices import use_cores
    from caejax.sweep.run import run_sweep
    from caejax.train.images import load_images

    config = default()
    if args.data:
        config.data.source, config.data.name = "idx", "mnist"
        config.data.dir, config.data.val_fraction = args.data, 1 / 12
    config.data.limit = args.limit
    config.model.path = path
    config.train.batch_size = args.batch
    config.train.epochs = args.epochs
    config.sweep = {"seed": {"field": "seed", "values": tuple(range(seeds))}}
    config.executor.name = "vmap"
    use_cache()
    use_cores(config.train.batch_size)
    load_images(config)
    began = time.perf_counter()
    rows = run_sweep(config, folder / "sweep")
    seconds = time.perf_counter() - began
    if failed := [row["error"] for row in rows if row["status"] != "done"]:
        raise SystemExit(f"{len(failed)} runs failed: {failed[0]}")
    return {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "seconds": round(seconds, 3),
        "steps": round(sum(row["train_seconds"] for row in rows), 3),
    }


def measure(seeds: int, path: str, cache: str, argv: list[str]) -> Record:
    """What `run` says, of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *argv, f"--one={seeds}", f"--path={path}"]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
        command.append(f"--folder={folder}")
        subprocess.run(command, env=environment, check=True)
        return json.loads((Path(folder) / "record.json").read_text())


def report(results: Record) -> str:
    """The table of medians, and of ratios within a round."""
    lines = []
    for path, rounds in results["rounds"].items():
        for what in ("seconds", "steps"):
            one, many = ([x[i][what] for x in rounds] for i in ("one", "many"))
            ratio = np.median(np.divide(many, one))
            medians = [f"{np.median(x):.2f}" for x in (one, many)]
            lines.append([path, what, *medians, f"{ratio:.2f}", str(TARGET)])
    many = f"{results['setting']['seeds']} seeds"
    return to_markdown(["path", "time", "1 run", many, "ratio", "target"], lines)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", default="", help="folder of MNIST's IDX files")
    add("--limit", type=int, default=0, help="use so many images; 0 is all")
    add("--seeds", type=int, default=32)
    add("--batch", type=int, default=128)
    add("--epochs", type=int, default=5)
    add("--rounds", type=int, default=3)
    add("--paths", default="auto", help="of caejax.ops.paths, with commas between")
    add("--out", type=Path, default=Path(__file__).parent)
    add("--one", type=int, default=0, help=argparse.SUPPRESS)
    add("--path", default="auto", help=argparse.SUPPRESS)
    add("--folder", type=Path, help=argparse.SUPPRESS)
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
    setting["data"] = "mnist" if args.data else "glyphs"
    rounds: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for path in args.paths.split(","):
            both = []
            for _ in range(args.rounds + 1):
                counts = {"one": 1, "many": args.seeds}
                both.append(
                    {k: measure(n, path, cache, argv) for k, n in counts.items()}
                )
                print(path, both[-1], flush=True)
            rounds[path] = both[1:]  # the first compiled
    results = {"setting": setting, "rounds": rounds}
    (args.out / "seeds.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "seeds.md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main(sys.argv[1:])
