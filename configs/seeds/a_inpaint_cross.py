"""System A's inpainting: a dark cross is drawn over each digit and taken away again.

    caejax run --config=seeds/a_inpaint_cross \
        --config.data.dir=DIR --workdir=runs/a_inpaint_cross

DIR holds MNIST's four IDX files, gzipped or not.

The model and the training are those of `a_conv_denoiser`; of the crosses, the source
says no more than that they are dark and drawn over the image.

Reported by the source: no figures.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.corruption.name = "cross"
    config.corruption.level = 0.8
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
