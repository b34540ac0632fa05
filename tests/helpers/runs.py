"""What runs leave in their folders, and what a step takes."""

import jax
import numpy as np

from caejax.files.atomic import read_rows
from caejax.optimizers import create_optimizer
from caejax.training.checkpoint import Checkpoints
from caejax.training.images import load_images
from caejax.training.run import create_run
from caejax.training.state import create_state
from caejax.training.task import task_from_config
from helpers.tiny import tiny_config

CLOCK = {"images_per_second", "train_seconds"}


def rows_of(workdir):
    """The rows of metrics.jsonl without what the clock decides."""
    rows = read_rows(workdir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def state_of(workdir, config):
    """The last state saved in a run's folder."""
    run = create_run(config, verbose=False)
    like = new_state(run.task, ema=config.train.ema_decay > 0)
    with Checkpoints(workdir / "checkpoints", keep=2) as checkpoints:
        return checkpoints.restore(like)[0]


def new_state(task, seed=0, ema=False):
    return create_state(task.model, create_optimizer(task.optimizer), seed, ema=ema)


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def steps_and_images(**changes):
    config = tiny_config()
    for name, value in changes.items():
        config.train[name] = value
    task = task_from_config(config, total_steps=100)
    return task, load_images(config)["train"]
