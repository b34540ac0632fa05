"""System F's second phase: the autoencoder of `f_keras_io` denoises, noise 0.4.

    caejax run --config=seeds/f_keras_io_noisy \
        --config.data.dir=DIR --workdir=runs/f_keras_io_noisy

DIR holds MNIST's four IDX files, gzipped or not.

Goes on from the parameters of a finished run of `f_keras_io`, the optimiser's moments
starting anew; --config.train.start_from names that run's folder if it is another. The
test set is the validation set.

Reported by the source: validation loss 0.0839.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.corruption.level = 0.4
    config.model.widths = (32, 32)
    config.model.latent_channels = 32
    config.model.bottleneck = "pooled"
    config.model.code_activation = "relu"
    config.model.upsampling = "deconv_k3"
    config.model.initializer = "keras_default"
    config.train.epochs = 100
    config.train.start_from = "runs/f_keras_io"
    return config
