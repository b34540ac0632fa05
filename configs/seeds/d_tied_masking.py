"""System D, Vincent et al. 2008: 784-500-784 with tied weights, masking noise 0.3.

    caejax run --config=seeds/d_tied_masking \
        --config.data.dir=DIR --workdir=runs/d_tied_masking

DIR holds MNIST's four IDX files, gzipped or not.

Squared error, summed over pixels and batch, by plain SGD. The source measures its
10,000 test images after each epoch, hence the test set is the validation set.
TensorFlow's MNIST has 55,000 training images, hence the limit. Not as there: the
source's batches are the same in every epoch, caejax's are drawn anew.

Reported by the source: no figures.
"""

from caejax.config import default


def get_config():
    """Returns the config of the run."""
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.val_fraction = 0.0
    config.data.limit = 55_000
    config.corruption.name = "masking"
    config.corruption.level = 0.3
    config.model.encoder = "tied_dense"
    config.model.widths = ()
    config.model.latent_channels = 500
    config.model.code_activation = "sigmoid"
    config.model.initializer = "sigmoid_uniform"
    config.loss = "sse"
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.02
    config.train.epochs = 100
    return config
