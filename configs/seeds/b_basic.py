"""System B's basic autoencoder: 784-64-784, one dense layer a side.

    caejax run --config=seeds/b_basic --config.data.dir=DIR --workdir=runs/b_basic

DIR holds MNIST's four IDX files, gzipped or not.

The hidden size is meant to be varied: --config.model.latent_channels=32. TensorFlow's
MNIST has 55,000 training images.

Reported by the source: training loss 0.090 to 0.101 a batch at the end, about 0.095.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.corruption.name = "none"
    config.model.encoder = "dense"
    config.model.widths = ()
    config.model.latent_channels = 64
    config.model.code_activation = "relu"
    config.model.initializer = "glorot_uniform"
    config.optimizer.learning_rate = 1e-2
    config.train.epochs = 20
    return config
