"""How long a run trains, and how long it takes models to learn something."""

from ml_collections import ConfigDict

from caejax.terminal.numbers import counted

FEW_STEPS = 100
"""Steps, in less than which few models learn much."""


def few_steps(config: ConfigDict, images: int) -> str:
    """A warning that a run takes too few steps to learn much; "" if it does not.

    Args:
      config: the run's config.
      images: the number of its training images.
    """
    train = config.train
    each = train.steps_per_epoch or images // train.batch_size
    if not 0 < each * train.epochs < FEW_STEPS:
        return ""
    steps = counted(each * train.epochs, "step")
    what = f"{counted(train.epochs, 'epoch')} of {counted(images, 'training image')}"
    return (
        f"warning: training takes only {steps} ({what} in batches of "
        f"{train.batch_size}), and few models learn much in less than {FEW_STEPS}; add "
        "images (of photographs, config.data.patches_per_image cuts more), raise "
        "config.train.epochs, or lower config.train.batch_size"
    )
