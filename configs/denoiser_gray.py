"""A denoiser of grey photographs for every level of Gaussian noise up to 55 of 255.

    caejax run --config=denoiser_gray --config.data.dir=DIR --workdir=runs/denoiser_gray

DIR holds the images of BSDS500 in folders train, val and test. It trains on 400 of
them, validates on 32 and tests on CBSD68, the other 68, at a level of 25 of 255.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "bsds500"
    config.data.image_size = (321, 481)
    config.corruption.level = 25 / 255
    config.corruption.train_range = (0.0, 55 / 255)
    config.corruption.clip = False
    config.model.downsampling = "stride_k4"
    config.model.widths = (64, 64)
    config.model.encoder_refine = (3, 1)
    config.model.decoder_widths = (64, 16)
    config.model.refine = (3, 0)
    config.model.latent_channels = 64
    config.model.skips = "add"
    config.model.residual = True
    config.model.output_activation = "linear"
    config.loss = "charbonnier"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 1000
    config.optimizer.clip_norm = 1.0
    config.train.batch_size = 16
    config.train.crop_size = 64
    config.train.augment = True
    config.train.steps_per_epoch = 2000
    config.train.epochs = 30
    config.train.ema_decay = 0.999
    config.train.probe_steps = ()
    return config
