"""What the two measurements of whole sweeps share: digits, flags, processes."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from caejax.config import default
from caejax.sweep.run import run_sweep
from experiments.shared.commands import create_parser, run_module
from experiments.shared.rows import Row, check_none_failed


def sweep_parser(doc: str, epochs: int) -> argparse.ArgumentParser:
    """A parser of the flags that both have.

    Args:
      doc: the module's docstring.
      epochs: the default number of epochs.
    """
    parser = create_parser(doc, out=Path(__file__).parent)
    add = parser.add_argument
    add("--data", default="", help="folder of MNIST's IDX files")
    add("--limit", type=int, default=0, help="use so many images; 0 is all")
    add("--epochs", type=int, default=epochs)
    add("--rounds", type=int, default=3)
    add("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


def digits_config(args: argparse.Namespace) -> ConfigDict:
    """The default model on MNIST, or on drawn digits of the same size."""
    config = default()
    if args.data:
        config.data.source, config.data.name = "idx", "mnist"
        config.data.dir, config.data.val_fraction = args.data, 1 / 12
    config.data.limit = args.limit
    config.train.epochs = args.epochs
    return config


def digits_name(args: argparse.Namespace) -> str:
    """The name of the images of `digits_config`."""
    return "mnist" if args.data else "glyphs"


def finished_rows(config: ConfigDict, folder: Path) -> list[Row]:
    """Does a sweep in this process; returns its rows.

    Raises:
      CaejaxError: runs failed.
    """
    rows = run_sweep(config, folder)
    check_none_failed(rows, "the sweep", folder)
    return rows


def seconds_of(module: str, argv: Sequence[str]) -> float:
    """Wall time of a module in a process, with empty folders for runs and programs."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        cache = f"{folder}/programs"
        words = *argv, f"--folder={folder}"
        run_module(module, *words, JAX_COMPILATION_CACHE_DIR=cache)
        return time.perf_counter() - began
