"""System A, a TensorFlow 1 denoiser: 32-32-16 channels, code 4x4x16, noise 0.5.

    caejax run --config=seeds/a_conv_denoiser \
        --config.data.dir=DIR --workdir=runs/a_conv_denoiser

DIR holds MNIST's four IDX files, gzipped or not.

The source's decoder resizes 4 to 7 pixels by TensorFlow's legacy mapping, pixel i
from floor(4 i / 7), and trains with Adam 1e-3. TensorFlow's MNIST has 55,000 training
images. Not as there: the last, incomplete batch of an epoch is left out, as in all of
caejax, and the noise is drawn anew for every batch.

Reported by the source: no figures.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.corruption.level = 0.5
    config.model.encoder = "layers"
    config.model.encoder_layers = (
        "conv3 32 relu",
        "pool",
        "conv3 32 relu",
        "pool",
        "conv3 16 relu",
        "pool",
    )
    config.model.decoder_layers = (
        "nearest 7/4",
        "conv3 16 relu",
        "nearest_k3 32 relu",
        "nearest_k3 32 relu",
        "conv3 1",
    )
    config.model.initializer = "glorot_uniform"
    config.train.batch_size = 200
    config.train.epochs = 100
    return config
