"""System E's upsampling decoder: 16-4 channels, code 7x7x4.

    caejax run --config=seeds/e_upsampling \
        --config.data.dir=DIR --workdir=runs/e_upsampling

DIR holds MNIST's four IDX files, gzipped or not.

The source trains on all 60,000 images; the test set is the validation set here.

Reported by the source: training loss from 0.323222 in the first epoch to 0.104016 at
the end, 20 times the mean squared error, which is 0.00520. Units of the code can die,
so that seeds differ.
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
    config.model.decoder_layers = ("nearest_k3 16 relu", "nearest_k3 1")
    config.model.initializer = "torch_default"
    config.loss = "mse"
    config.train.batch_size = 20
    config.train.epochs = 30
    return config
