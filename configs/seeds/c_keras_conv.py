"""System C, Keras's convolutional autoencoder: 16-8-8 channels, code 4x4x8.

    caejax run --config=seeds/c_keras_conv \
        --config.data.dir=DIR --workdir=runs/c_keras_conv

DIR holds MNIST's four IDX files, gzipped or not.

Its third convolution of the decoder is VALID, 16 to 14 pixels. "nearest_k3 16 valid"
is the resize before it and the convolution. The test set is the validation set.

Reported by the blog post that the source follows: loss about 0.094.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.corruption.name = "none"
    config.model.encoder = "layers"
    config.model.encoder_layers = (
        "conv3 16 relu",
        "pool",
        "conv3 8 relu",
        "pool",
        "conv3 8 relu",
        "pool",
    )
    config.model.decoder_layers = (
        "conv3 8 relu",
        "nearest_k3 8 relu",
        "nearest_k3 16 valid relu",
        "nearest_k3 1",
    )
    config.model.initializer = "keras_default"
    config.optimizer.name = "adadelta"
    config.optimizer.learning_rate = 1.0
    config.train.epochs = 50
    return config
