"""System E's denoiser: 32-16-8 channels, code 3x3x8, noise 0.5.

    caejax run --config=seeds/e_denoiser --config.data.dir=DIR --workdir=runs/e_denoiser

DIR holds MNIST's four IDX files, gzipped or not.

PyTorch's pooling takes 7 pixels to 3, its transposed convolution without padding takes
them to 7 again: both are "valid". The source trains on all 60,000 images;
the test set is the validation set here.

Reported by the source: training loss 0.522199 at the end, 20 times the mean squared
error, which is 0.02611.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.corruption.level = 0.5
    config.model.encoder = "layers"
    config.model.encoder_layers = (
        "conv3 32 relu",
        "pool valid",
        "conv3 16 relu",
        "pool valid",
        "conv3 8 relu",
        "pool valid",
    )
    config.model.decoder_layers = (
        "deconv_k3 8 valid relu",
        "deconv_k2 16 relu",
        "deconv_k2 32 relu",
        "conv3 1",
    )
    config.model.initializer = "torch_default"
    config.loss = "mse"
    config.train.batch_size = 20
    config.train.epochs = 20
    return config
