"""System B's dense denoiser: 784-32-784, noise 0.5.

    caejax run --config=seeds/b_dense_denoiser \
        --config.data.dir=DIR --workdir=runs/b_dense_denoiser

DIR holds MNIST's four IDX files, gzipped or not.

TensorFlow's MNIST has 55,000 training images.

Reported by the source: training loss 0.123 to 0.135 a batch at the end, about 0.128;
reconstructions keep visible noise where those of `b_conv_denoiser` do not.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.corruption.level = 0.5
    config.model.encoder = "dense"
    config.model.widths = ()
    config.model.latent_channels = 32
    config.model.code_activation = "relu"
    config.model.initializer = "glorot_uniform"
    config.train.epochs = 30
    return config
