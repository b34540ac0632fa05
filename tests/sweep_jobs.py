"""Quick jobs in place of training, which worker processes can import."""

import time
from pathlib import Path

from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.files.atomic import write_json


def log(config: ConfigDict, workdir: Path, word: str) -> None:
    """Appends a word and the seed to the log beside the sweep's folder."""
    with (workdir.parents[2] / "log").open("a") as file:
        file.write(f"{word} {config.seed}\n")


def quick(config: ConfigDict, workdir: Path) -> None:
    """Writes a summary, with another time at each call."""
    summary = {"test/psnr": config.seed / 2, "train_seconds": time.time()}
    write_json(workdir / "summary.json", summary)


def wait(config: ConfigDict, workdir: Path) -> None:
    """Takes a moment, and tells of its beginning and end."""
    log(config, workdir, "began")
    time.sleep(0.3)
    quick(config, workdir)
    log(config, workdir, "ended")


def fail(config: ConfigDict, workdir: Path) -> None:
    """Fails, in a line of its own if it should never have been begun."""
    start = config.train.start_from
    raise CaejaxError(f"begun with {start}" if start else "no good")
