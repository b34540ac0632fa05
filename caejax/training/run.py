"""A run as plain data, from its config, and the state it starts from."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from caejax import weights
from caejax.config.length import few_steps
from caejax.data import SOURCES
from caejax.files import safetensors
from caejax.files.paths import expand_there
from caejax.models.channels import in_channels
from caejax.models.named import from_arrays, named_arrays
from caejax.optimizers import create_optimizer
from caejax.runtime.compilation import keep_programs_of
from caejax.terminal.lines import tell
from caejax.training.images import Images, budget, load_data
from caejax.training.recorded import Recorded
from caejax.training.restore import config_in, restore, trained_config
from caejax.training.shards import Shard, create_shards
from caejax.training.state import TrainState, create_state, first_state
from caejax.training.step import Sums
from caejax.training.task import Task, model_from_config, task_from_config


class Run(NamedTuple):
    """What stays the same through a run.

    Attributes:
      task: the static part of its compiled programs.
      images: the images by split, (N, H, W, C), as `load_images` has them.
      data: what the images were read from, and where.
      shard_at: the function that loads what a step needs, where training images stay
        on the host.
      seed, level: the config's seed and corruption level.
      steps_per_epoch: the number of steps an epoch, by default of whole batches in the
        training images.
      epochs: the number of epochs to be done in all.
      patience: the number of epochs without a better validation loss after which the
        run stops; 0 is no limit.
      probe_steps: the steps at which checkerboards are measured besides every epoch's
        end.
      start_from: the folder of a run, or the file of weights, whose parameters this one
        starts from; "" for none.
      verbose: whether to show progress.
      together: how many neighbouring images of a part are patches of one photograph.
    """

    task: Task
    images: Images
    data: Recorded
    shard_at: Callable[[int], Shard] | None
    seed: int
    level: float
    steps_per_epoch: int
    epochs: int
    patience: int
    probe_steps: tuple[int, ...]
    start_from: str
    verbose: bool
    together: int = 1


class Request(NamedTuple):
    """Steps to be taken, until so many are done in all.

    Attributes:
      run: the run whose steps they are.
      state, sums: the state and the sums of metrics before the steps; whoever takes
        the steps may donate both.
      stop: the number of steps done in all at which to stop, at most at the end of
        the epoch that the state is in.
    """

    run: Run
    state: TrainState
    sums: Sums
    stop: int


# The state and the sums after the steps, and the seconds that they took.
Answer = tuple[TrainState, Sums, float]
# Asks for steps and is sent what came of them, until there is nothing left to do.
Course = Generator[Request, Answer, Any]


def create_run(
    config: ConfigDict,
    data: Recorded | None = None,
    *,
    verbose: bool,
    within: Path = Path(),
) -> Run:
    """Loads a run's images, or takes what an earlier run has loaded.

    Args:
      config: the run's config.
      data: what the run was begun with, if it was.
      verbose: whether to show progress, and a line about the data.
      within: the folder to which relative paths of a run are; by default the working
        directory.
    """
    images, data = load_data(config, data, within)
    if verbose:
        for line in filter(None, (data.note, few_steps(config, len(images["train"])))):
            tell(line)
    train = config.train
    steps_per_epoch = train.steps_per_epoch or len(images["train"]) // train.batch_size
    task = task_from_config(config, config.train.epochs * steps_per_epoch)
    keep_programs_of(task.model)
    return Run(
        task=task,
        images=images,
        data=data,
        shard_at=_shards(config, images["train"]),
        seed=config.seed,
        level=config.corruption.level,
        steps_per_epoch=steps_per_epoch,
        epochs=config.train.epochs,
        patience=config.train.early_stopping,
        probe_steps=tuple(config.train.probe_steps),
        start_from=_start(config.train.start_from, within),
        verbose=verbose,
        together=_together(config),
    )


def _together(config):
    cut = SOURCES[config.data.source].cut
    return config.data.patches_per_image if cut else 1


def _start(named, within):
    if not named:
        return ""
    path = expand_there(named, "config.train.start_from", within)
    return str(weights.find(named) if weights.is_meant(named, path) else path)


def epoch_of(run: Run, step: int) -> float:
    """How many epochs so many steps are."""
    return round(step / run.steps_per_epoch, 4)


def _shards(config, images):
    batch_size, steps = config.train.batch_size, config.train.steps_per_epoch
    if isinstance(images, jax.Array) or (len(images) < batch_size and not steps):
        return None
    return create_shards(images, batch_size, config.seed, budget(config), steps)


def new_state(run: Run) -> TrainState:
    """The state of a new model."""
    tx = create_optimizer(run.task.optimizer)
    return create_state(run.task.model, tx, run.seed, ema=run.task.ema_decay > 0)


def initial_state(run: Run) -> TrainState:
    """What the run starts from: new parameters, those of another run, or of a file."""
    if not run.start_from:
        return new_state(run)
    params = _first_params(run, run.task.model)
    tx = create_optimizer(run.task.optimizer)
    return first_state(params, tx, ema=run.task.ema_decay > 0)


def _first_params(run, model):
    there, what = Path(run.start_from), f"config.train.start_from is {run.start_from!r}"
    if there.suffix == safetensors.SUFFIX and there.is_file():
        arrays, texts = safetensors.read(there)
        config = config_in(texts, there)
    else:
        config = trained_config(there)
        arrays = named_arrays(restore(there, config, exact=True).eval_params)
    if config is not None:
        arrays = in_channels(arrays, model_from_config(config), model)
    return from_arrays(model, arrays, what)
