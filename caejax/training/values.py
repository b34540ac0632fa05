"""A run's values: asked of the evaluator, and put together for rows and the summary."""

import jax
import jax.numpy as jnp
import numpy as np

from caejax.files.atomic import Row
from caejax.metrics import evaluator, pictures
from caejax.metrics.evaluator import Evaluation, Values
from caejax.metrics.noise import noise_key
from caejax.runtime import devices
from caejax.training.progress import Progress
from caejax.training.run import Run, epoch_of
from caejax.training.state import TrainState
from caejax.training.task import subject_of

Pictures = dict[str, np.ndarray]


def measured(run: Run, state: TrainState, split: str, when: str) -> Evaluation:
    """All that the table of metrics has for an occasion, on a split of a run's data."""
    return evaluator.evaluate(*_measurable(run, state, split), when, run.together)


def samples(run: Run, state: TrainState) -> dict[str, np.ndarray]:
    """Pictures of the test split."""
    return pictures.samples(*_measurable(run, state, "test"))


def examples(run: Run, state: TrainState, maps: dict[str, np.ndarray]) -> Pictures:
    """What TensorBoard shows of a state: examples of the validation split, and more.

    Args:
      run: the run.
      state: the state, on all devices.
      maps: those of the split's evaluation, of which the spectrum is shown.
    """
    found = _measurable(run, state, "val")
    few = np.arange(min(pictures.SAMPLES, len(found[2])))
    spectrum = {k: x for k, x in maps.items() if k == "residual_spectrum"}
    return pictures.examples(*found, few) | spectrum


def look_at(run: Run, state: TrainState) -> None:
    """Does all of the above once, in the order in which a run does it."""
    state = devices.on_all_devices(state)
    for split, when in (("val", "val"), ("test", "init"), ("test", "test")):
        measured(run, state, split, when)
    samples(run, state)


def _measurable(run, state, split):
    key = noise_key(run.seed, split)
    return subject_of(run.task), state.eval_params, run.images[split], key, run.level


def row(run: Run, step: int, split: str, values: Values) -> Row:
    """Values as a row of metrics.jsonl."""
    return {"step": step, "epoch": epoch_of(run, step), "split": split, **values}


def summary(
    run: Run, state: TrainState, progress: Progress, test: Values, steps: int
) -> Row:
    """What summary.json holds.

    Args:
      run: the finished run.
      state: the state that was tested.
      progress: the run's progress.
      test: the values of the test split.
      steps: the number of steps taken in all.
    """
    sizes = jax.tree.map(jnp.size, state.params)
    return {
        **{f"test/{name}": value for name, value in test.items()},
        **{f"init/{name}": value for name, value in progress.init.items()},
        "params": int(sum(jax.tree.leaves(sizes))),
        "best_step": progress.best_step,
        "best_val_loss": progress.best_loss,
        "train_seconds": round(progress.train_seconds, 3),
        "epochs": run.epochs,
        "steps": steps,
    }
