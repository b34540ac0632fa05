"""A denoiser of colour photographs for every level of Gaussian noise up to 55 of 255.

    caejax run --config=denoiser_color \
        --config.data.dir=DIR --workdir=runs/denoiser_color

As denoiser_gray, with three channels.
"""

from caejax.config.load import load_config


def get_config():
    """Returns the config of the run."""
    config = load_config("denoiser_gray")
    config.data.channels = 3
    return config
