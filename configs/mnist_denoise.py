"""A convolutional denoiser on MNIST: 64-64-32 channels, code 4x4x32, noise 0.5.

    caejax run --config=mnist_denoise --config.data.dir=DIR --workdir=runs/mnist_denoise

DIR holds MNIST's four IDX files, gzipped or not. Without DIR, add
--config.data.download=True once.

The layers, noise and loss are those of the well-known TensorFlow denoiser; batch and
learning rate are not (it has batch 128, Adam 1e-3): these get further in one epoch.

Run time: 80 s an epoch (690 images/s) on two x86-64 cores.
Score: test PSNR 18.4 dB after --config.train.epochs=1; the noisy input has 9.4 dB.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.corruption.level = 0.5
    config.model.widths = (64, 64, 32)
    config.model.latent_channels = 32
    config.model.bottleneck = "pooled"
    config.model.code_activation = "relu"
    # Small batches and a falling learning rate: one epoch already denoises well.
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 200
    config.train.batch_size = 32
    return config
