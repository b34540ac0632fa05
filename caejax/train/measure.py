"""What is measured in the course of a run, as rows and figures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.files.atomic import Row
from caejax.runtime import devices
from caejax.train import evaluation, probes
from caejax.train.metrics_log import MetricsWriter
from caejax.train.run import Run
from caejax.train.state import TrainState

Figures = dict[str, float]
Maps = dict[str, np.ndarray]
Progress = dict[str, Any]  # what is stored beside checkpoints


def untrained(run: Run, state: TrainState, writer: MetricsWriter) -> Progress:
    """Measures the untrained model; returns what is stored beside checkpoints."""
    quality, _ = evaluate(run, state, "val")
    writer.write(row(run, state, "val", quality))
    return {
        "train_seconds": 0.0,
        "best_loss": quality["loss"],
        "best_step": 0,
        "stale_epochs": 0,
        "init": probes.initial_figures(*probed(run, state)),
    }


def trained(
    run: Run, state: TrainState, progress: Progress, writer: MetricsWriter
) -> tuple[Figures, Maps]:
    """Measures the trained model on the test split: the run's summary, and maps."""
    quality, maps = evaluate_test(run, state)
    writer.write(row(run, state, "test", quality))
    sizes = jax.tree.map(jnp.size, state.params)
    figures = {
        **{f"test/{name}": value for name, value in quality.items()},
        **{f"init/{name}": value for name, value in progress["init"].items()},
        "params": int(sum(jax.tree.leaves(sizes))),
        "best_step": progress["best_step"],
        "best_val_loss": progress["best_loss"],
        "train_seconds": round(progress["train_seconds"], 3),
    }
    return figures, maps


def evaluate_test(run: Run, state: TrainState) -> tuple[Figures, Maps]:
    """All figures of the test split, and the maps of its residuals."""
    quality, maps = evaluate(run, state, "test")
    return quality | probes.grad_phases(*probed(run, state)), maps


def probed(run: Run, state: TrainState) -> tuple[Any, ...]:
    """What probes of the test split take: task, parameters, images, key and level."""
    key = evaluation.noise_key(run.seed, "test")
    return run.task, _params(state), run.images["test"], key, run.level


def evaluate(run: Run, state: TrainState, split: str) -> tuple[Figures, Maps]:
    """All figures of a split, and the maps of its residuals."""
    images, params = run.images[split], state.eval_params
    key = evaluation.noise_key(run.seed, split)
    quality, maps = evaluation.evaluate(run.task, params, images, key, run.level)
    return quality | ripples(run, state, split), maps


def ripples(run: Run, state: TrainState, split: str) -> Figures:
    """Checkerboards on a split's clean images."""
    images = run.images[split]
    return probes.dc_ripples(run.task.model, _params(state), images)


def _params(state):
    return devices.on_one_device(state.eval_params)


def row(run: Run, state: TrainState, split: str, figures: Figures) -> Row:
    """Figures as a row of metrics.jsonl."""
    step = int(state.step)
    return {"step": step, "epoch": epoch(run, step), "split": split, **figures}


def epoch(run: Run, step: int) -> float:
    """How many epochs so many steps are."""
    return round(step / run.steps_per_epoch, 4)
