"""System B's convolutional denoiser: 64-64-32 channels, code 4x4x32, noise 0.5.

    caejax run --config=seeds/b_conv_denoiser \
        --config.data.dir=DIR --workdir=runs/b_conv_denoiser

DIR holds MNIST's four IDX files, gzipped or not.

The decoder is resized as in `a_conv_denoiser`. TensorFlow's MNIST has 55,000 training
images.

Reported by the source: training loss 0.096 to 0.103 a batch at the end, about 0.099.
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
        "conv3 64 relu",
        "pool",
        "conv3 64 relu",
        "pool",
        "conv3 32 relu",
        "pool",
    )
    config.model.decoder_layers = (
        "nearest 7/4",
        "conv3 32 relu",
        "nearest_k3 64 relu",
        "nearest_k3 64 relu",
        "conv3 1",
    )
    config.model.initializer = "glorot_uniform"
    config.train.epochs = 10
    return config
