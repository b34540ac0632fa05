"""Makes a sweep's folder of many finished runs out of a few that were trained.

    python -m experiments.scale.simulate FOLDER RUNS

The first run is trained; all others are copies with other numbers, without checkpoints
(of which only the names count). What `run`, `report` and the rest take on the folder is
then measured from outside, by /usr/bin/time -v for instance.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.files.atomic import write_json
from caejax.runtime.startup import start
from caejax.sweep import results
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand

DECODERS = ("nearest_k3", "deconv_k3", "deconv_k4", "shuffle_k3", "shuffle_icnr")
LEVELS = (0.1, 0.25, 0.4, 0.5)


def config_of(runs: int) -> ConfigDict:
    """The sweep of so many runs: decoders, noise levels, and seeds for the rest."""
    config = config_lib.default()
    config.data.image_size, config.data.train_size, config.data.test_size = 16, 80, 40
    config.model.widths = (4, 4)
    config.train.batch_size, config.train.epochs = 8, 3
    seeds = max(1, runs // (len(DECODERS) * len(LEVELS)))
    config.sweep = {
        "decoder": {"field": "model.upsampling", "values": DECODERS},
        "noise": {"field": "corruption.level", "values": LEVELS},
        "seed": {"field": "seed", "values": tuple(range(seeds))},
    }
    return config


def simulate(folder: Path, runs: int) -> int:
    """Trains the first run and makes the others; returns how many there are."""
    config = config_of(runs)
    first, *others = every = expand(config)
    run_sweep(config, folder, only=lambda run: run.id == first.id)
    rng = np.random.default_rng(0)
    for run in others:
        _copy(folder / "runs" / first.id, folder / "runs" / run.id, run, rng)
    results.write(folder, results.collect(every, folder / "runs"))
    return len(every)


def _copy(model, target, run, rng):
    target.mkdir(parents=True, exist_ok=True)
    for name in ("environment.json", "data.json", "metrics.jsonl", "samples.npz"):
        shutil.copy(model / name, target / name)
    (target / "config.json").write_text(config_lib.to_json(run.config) + "\n")
    summary = json.loads((model / "summary.json").read_text())
    noise = 1 + 0.02 * rng.standard_normal(len(summary))
    for (name, value), factor in zip(list(summary.items()), noise, strict=True):
        if isinstance(value, float):
            summary[name] = value * factor
    write_json(target / "summary.json", summary)
    for path in (model / "checkpoints").glob("*/*"):
        place = target / path.relative_to(model)
        place.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    start()
    print(simulate(Path(sys.argv[1]), int(sys.argv[2])), "runs")
