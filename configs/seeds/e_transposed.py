"""System E's transposed decoder: 16-4 channels, code 7x7x4.

    caejax run --config=seeds/e_transposed \
        --config.data.dir=DIR --workdir=runs/e_transposed

DIR holds MNIST's four IDX files, gzipped or not.

The source trains on all 60,000 images; the test set is the validation set here.

Reported by the source: training loss from 0.536067 in the first epoch to 0.213977 at
the end, 20 times the mean squared error, which is 0.01070; in the course's own run,
0.165248 (0.00826). Units of the code can die, so that seeds differ.
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
    config.model.encoder_layers = ("conv3 16 relu", "pool", "conv3 4 relu", "pool")
    config.model.decoder_layers = ("deconv_k2 16 relu", "deconv_k2 1")
    config.model.initializer = "torch_default"
    config.loss = "mse"
    config.train.batch_size = 20
    config.train.epochs = 30
    return config
