"""System E's linear autoencoder: 784-32-784, a ReLU between.

    caejax run --config=seeds/e_linear --config.data.dir=DIR --workdir=runs/e_linear

DIR holds MNIST's four IDX files, gzipped or not.

The source trains on all 60,000 images; the test set is the validation set here.

Reported by the source: training loss 0.235611 at the end, 20 times the mean squared
error, which is 0.01178.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.corruption.name = "none"
    config.model.encoder = "dense"
    config.model.widths = ()
    config.model.latent_channels = 32
    config.model.code_activation = "relu"
    config.model.initializer = "torch_default"
    config.loss = "mse"
    config.train.batch_size = 20
    config.train.epochs = 20
    return config
