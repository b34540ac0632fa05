"""A denoiser of colour photographs: 64x64 patches of BSDS500, noise 0.25.

    caejax run --config=bsds_denoise --config.data.dir=DIR --workdir=runs/bsds_denoise

DIR holds folders train, val and test of images. They are halved first, which
takes most of their JPEG blocks away.

Run time: 40 s an epoch on two x86-64 cores (120 images/s).
Score: test PSNR 19.8 dB after --config.train.epochs=2; the noisy input has 13.2 dB.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "folder"
    config.data.image_size = 64
    config.data.channels = 3
    config.data.reduce = 2
    config.data.patches_per_image = 20
    config.corruption.level = 0.25
    config.model.widths = (32, 64)
    config.model.latent_channels = 32
    config.model.output_activation = "linear"
    config.loss = "mse"
    config.train.batch_size = 32
    config.train.epochs = 20
    return config
