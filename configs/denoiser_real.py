"""A denoiser of colour photographs as cameras and files spoil them.

    caejax run --config=denoiser_real --config.data.dir=DIR --workdir=runs/denoiser_real

As denoiser_color, but each image has one of five: Gaussian noise, shot and read noise,
speckle, JPEG compression, or blur with noise.
"""

from caejax.config import override
from caejax.config.load import load_config


def get_config():
    """Returns the config of the run."""
    config = load_config("denoiser_color")
    override(config, "corruption.name", "mixture")
    return config
