"""A config that trains in a second or two, for tests of whole runs."""

from ml_collections import ConfigDict

from caejax.config import default


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
