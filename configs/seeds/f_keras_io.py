"""System F, keras-io's autoencoder: 32-32 channels, code 7x7x32, on clean images.

    caejax run --config=seeds/f_keras_io --config.data.dir=DIR --workdir=runs/f_keras_io

DIR holds MNIST's four IDX files, gzipped or not.

The first of its two phases; `f_keras_io_noisy` is the second. The test set is the
validation set.

Reported by the source: validation loss 0.0622.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.corruption.name = "none"
    config.model.widths = (32, 32)
    config.model.latent_channels = 32
    config.model.bottleneck = "pooled"
    config.model.code_activation = "relu"
    config.model.upsampling = "deconv_k3"
    config.model.initializer = "keras_default"
    config.train.epochs = 50
    return config
