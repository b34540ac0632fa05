"""Bottleneck x noise x decoder on MNIST: 60 runs a seed.

    caejax run --config=mnist_sweep --config.data.dir=DIR --workdir=runs/mnist_sweep

DIR holds MNIST's four IDX files, gzipped or not. More seeds:
--config.sweep.seed.values="(0, 1, 2)".

Run time: hours on two cores; it goes on where it was stopped. For a first look, add
--config.data.limit=2000 --config.train.epochs=1.
"""

from caejax.config import default

DECODERS = ("deconv_k2", "deconv_k3", "deconv_k4", "nearest_k3", "bilinear_k3")


def get_config():
    """Returns the config of the sweep."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.train.epochs = 5
    # Decoders are compared where training has settled.
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 100
    config.train.ema_decay = 0.99
    config.sweep = {
        "bottleneck": {"field": "model.latent_channels", "values": (2, 4, 8, 16)},
        "decoder": {"field": "model.upsampling", "values": DECODERS},
        "noise": {"field": "corruption.level", "values": (0.1, 0.3, 0.5)},
        "seed": {"field": "seed", "values": (0,)},
    }
    return config
