"""A config that trains in a second or two, and runs that need no training."""

from ml_collections import ConfigDict

from caejax.config import default
from caejax.optimizers import create_optimizer
from caejax.training import folder
from caejax.training.checkpoint import Checkpoints
from caejax.training.images import load_data
from caejax.training.progress import Progress
from caejax.training.state import create_state
from caejax.training.task import task_from_config


def tiny_config() -> ConfigDict:
    """Two stages on 16 x 16 glyphs, two epochs of four steps."""
    config = default()
    config.data.image_size = 16
    config.data.train_size = 40
    config.data.test_size = 12
    config.data.val_fraction = 0.2
    config.model.widths = (4, 4)
    config.model.latent_channels = 2
    config.train.batch_size = 8
    config.train.epochs = 2
    config.train.probe_steps = (2,)
    return config


def save_checkpoints(workdir, config, seeds):
    """What training leaves: models drawn from seeds, the first one the best."""
    task = task_from_config(config, total_steps=0)
    tx = create_optimizer(task.optimizer)
    folder.settle(workdir, config, load_data(config).recorded)
    with Checkpoints(workdir / "checkpoints", keep=2) as checkpoints:
        for step, seed in enumerate(seeds):
            state = create_state(task.model, tx, seed, ema=False)
            state = state._replace(step=state.step + step)
            progress = Progress(measured=True, init={})
            checkpoints.save(state, progress, best=step == 0)
