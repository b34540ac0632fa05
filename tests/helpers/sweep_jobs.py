"""Sweeps, and quick jobs in place of training that worker processes can import."""

import collections
import time
from pathlib import Path

from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.files.atomic import write_json
from caejax.sweep.run import train_quietly
from caejax.training.folder import last_step
from caejax.training.run import Course
from helpers.tiny import tiny_config

SEEDS = {"field": "seed", "values": (0, 1)}
DECODERS = {"field": "model.upsampling", "values": ("deconv_k3", "nearest_k3")}


def sweep_config(**axes):
    config = tiny_config()
    config.train.epochs = 1
    config.sweep = axes
    return config


def fake_config(seeds, **executor):
    """A sweep over so many seeds."""
    config = sweep_config(seed={"field": "seed", "values": tuple(range(seeds))})
    config.executor.update(executor)
    return config


def logged(folder, word):
    """How often the log has each of the lines that begin with a word."""
    lines = (folder / "log").read_text().splitlines()
    return collections.Counter(line for line in lines if line.startswith(word))


def log(config: ConfigDict, workdir: Path, word: str) -> None:
    """Appends a word and the seed to the log beside the sweep's folder."""
    with (workdir.parents[2] / "log").open("a") as file:
        file.write(f"{word} {config.seed}\n")


def quick(config: ConfigDict, workdir: Path) -> None:
    """Writes a summary, with another time at each call, and no pictures."""
    (workdir / "samples.npz").touch()
    summary = {"test/psnr": config.seed / 2, "train_seconds": time.time()}
    write_json(workdir / "summary.json", summary)


def wait(config: ConfigDict, workdir: Path) -> None:
    """Takes a moment, and tells of its beginning and end."""
    log(config, workdir, "began")
    time.sleep(0.3)
    quick(config, workdir)
    log(config, workdir, "ended")


def hold_at_an_epoch(config: ConfigDict, workdir: Path) -> Course:
    """Trains, but waits after an epoch while there is a file `hold`."""
    course, answer = train_quietly(config, workdir), None
    try:
        while True:
            request = course.send(answer)
            while last_step(workdir) and (workdir.parents[2] / "hold").exists():
                time.sleep(0.05)
            answer = yield request
    except StopIteration as end:
        return end.value


def fail(config: ConfigDict, workdir: Path) -> None:
    """Fails, in a line of its own if it should never have been begun."""
    start = config.train.start_from
    raise CaejaxError(f"begun with {start}" if start else "no good")
