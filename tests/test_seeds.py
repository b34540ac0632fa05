"""Tests that the configs of published systems are these systems, to the layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.configs import CONFIGS
from helpers.layers import random_variables

from caejax import config as config_lib
from caejax.commands import show
from caejax.commands.options import Options
from caejax.config.check import check
from caejax.config.load import load_config
from caejax.models.layers import Conv, Dense
from caejax.models.size import parameter_count
from caejax.models.torch_kernels import to_torch
from caejax.models.upsampling import Upsample
from caejax.training.task import model_from_config

SEEDS = {path.stem: path for path in CONFIGS if path.parent.name == "seeds"}


def config_of(name):
    return load_config(SEEDS[name])


def layer(k, inputs, outputs):
    return k * k * inputs * outputs + outputs


COUNTS = {
    "a_conv_denoiser": layer(3, 1, 32) + layer(3, 32, 32) + layer(3, 32, 16)
    # The decoder, from the code outwards.
    + layer(3, 16, 16) + layer(3, 16, 32) + layer(3, 32, 32) + layer(3, 32, 1),
    "b_basic": 784 * 64 + 64 + 64 * 784 + 784,
    "b_conv_denoiser": layer(3, 1, 64) + layer(3, 64, 64) + layer(3, 64, 32)
    + layer(3, 32, 32) + layer(3, 32, 64) + layer(3, 64, 64) + layer(3, 64, 1),
    "b_dense_denoiser": 784 * 32 + 32 + 32 * 784 + 784,
    "c_keras_conv": layer(3, 1, 16) + layer(3, 16, 8) + layer(3, 8, 8)
    + layer(3, 8, 8) + layer(3, 8, 8) + layer(3, 8, 16) + layer(3, 16, 1),
    "d_tied_masking": 784 * 500 + 500 + 784,
    "e_transposed": layer(3, 1, 16) + layer(3, 16, 4)
    + layer(2, 4, 16) + layer(2, 16, 1),
    "e_upsampling": layer(3, 1, 16) + layer(3, 16, 4)
    + layer(3, 4, 16) + layer(3, 16, 1),
    "e_denoiser": layer(3, 1, 32) + layer(3, 32, 16) + layer(3, 16, 8)
    + layer(3, 8, 8) + layer(2, 8, 16) + layer(2, 16, 32) + layer(3, 32, 1),
    "f_keras_io": 28_353,
}  # fmt: skip
COUNTS |= {
    "a_inpaint_cross": COUNTS["a_conv_denoiser"],
    "e_linear": COUNTS["b_dense_denoiser"],
    "f_keras_io_noisy": COUNTS["f_keras_io"],
}
# Corruption and its level; loss; optimiser, learning rate, batch size and epochs;
# initialiser; share of the training images that validates.
TRAINING = {
    "a_conv_denoiser": "gaussian 0.5, bce, adam 0.001 200 100, glorot_uniform, 1/12",
    "a_inpaint_cross": "cross 0.8, bce, adam 0.001 200 100, glorot_uniform, 1/12",
    "b_basic": "none, bce, adam 0.01 128 20, glorot_uniform, 1/12",
    "b_conv_denoiser": "gaussian 0.5, bce, adam 0.001 128 10, glorot_uniform, 1/12",
    "b_dense_denoiser": "gaussian 0.5, bce, adam 0.001 128 30, glorot_uniform, 1/12",
    "c_keras_conv": "none, bce, adadelta 1.0 128 50, keras_default, 0",
    "d_tied_masking": "masking 0.3, sse, sgd 0.02 128 100, sigmoid_uniform, 0",
    "e_linear": "none, mse, adam 0.001 20 20, torch_default, 0",
    "e_transposed": "none, mse, adam 0.001 20 30, torch_default, 0",
    "e_upsampling": "none, mse, adam 0.001 20 30, torch_default, 0",
    "e_denoiser": "gaussian 0.5, mse, adam 0.001 20 20, torch_default, 0",
    "f_keras_io": "none, bce, adam 0.001 128 50, keras_default, 0",
    "f_keras_io_noisy": "gaussian 0.4, bce, adam 0.001 128 100, keras_default, 0",
}


def test_tables_have_every_config():
    assert set(SEEDS) == set(COUNTS) == set(TRAINING)


@pytest.mark.parametrize("name", SEEDS)
def test_parameter_count(name):
    assert parameter_count(model_from_config(config_of(name))) == COUNTS[name]


@pytest.mark.parametrize("name", SEEDS)
def test_training_is_the_source_s(name):
    c = config_of(name)
    level = "" if c.corruption.name == "none" else f" {c.corruption.level}"
    adam = c.optimizer
    fraction = {0: "0", 1 / 12: "1/12"}[c.data.val_fraction]
    assert (
        f"{c.corruption.name}{level}, {c.loss}, {adam.name} {adam.learning_rate} "
        f"{c.train.batch_size} {c.train.epochs}, {c.model.initializer}, {fraction}"
    ) == TRAINING[name]
    assert (adam.schedule, adam.warmup_steps, adam.momentum) == ("constant", 0, 0)


@pytest.mark.parametrize("name", SEEDS)
def test_config_shows_and_comes_back_from_json(name, capsys):
    config = config_of(name)
    again = config_lib.from_json(config_lib.to_json(config))
    check(again)
    assert config_lib.run_id(again) == config_lib.run_id(config)
    assert model_from_config(again) == model_from_config(config)
    show.main(Options(config=again))
    assert f"{COUNTS[name]:,}" in capsys.readouterr().out


def test_the_second_phase_goes_on_with_the_first_s_model():
    first, second = config_of("f_keras_io"), config_of("f_keras_io_noisy")
    assert first.model.to_dict() == second.model.to_dict()
    assert second.train.start_from == "runs/f_keras_io"


# The systems anew, from PyTorch's own functions.

LEGACY = [0, 0, 1, 1, 2, 2, 3]  # floor(4 i / 7)


class Net:
    """PyTorch's functions, with the weights of a caejax model by their path."""

    def __init__(self, torch, params):
        self.torch, self.f, self.params = torch, torch.nn.functional, params

    def weights(self, path, kind):
        half, name = path.split("/")
        params = self.params[half][name]
        weight = to_torch(params["kernel"], kind)
        return self.torch.from_numpy(weight), self.torch.from_numpy(params["bias"])

    def conv(self, path, x, padding=1):
        return self.f.conv2d(x, *self.weights(path, "nearest_k3"), padding=padding)

    def deconv(self, path, x, k):
        return self.f.conv_transpose2d(x, *self.weights(path, f"deconv_k{k}"), stride=2)

    def double(self, x):
        return self.f.interpolate(x, scale_factor=2, mode="nearest")

    def encode(self, x, stages, ceil=True):
        for i in range(stages):
            x = self.f.relu(self.conv(f"encoder/Conv_{i}", x))
            x = self.f.max_pool2d(x, 2, ceil_mode=ceil)
        return x


def tensorflow_denoiser(net, x):
    x = net.encode(x, 3)[:, :, LEGACY][:, :, :, LEGACY]
    x = net.f.relu(net.conv("decoder/Conv_0", x))
    x = net.f.relu(net.conv("decoder/Upsample_0", net.double(x)))
    x = net.f.relu(net.conv("decoder/Upsample_1", net.double(x)))
    return net.conv("decoder/Conv_1", x)


def keras_autoencoder(net, x):
    x = net.f.relu(net.conv("decoder/Conv_0", net.encode(x, 3)))
    x = net.f.relu(net.conv("decoder/Upsample_0", net.double(x)))
    x = net.f.relu(net.conv("decoder/Upsample_1", net.double(x), padding=0))
    return net.conv("decoder/Upsample_2", net.double(x))


def transposed(net, x):
    x = net.f.relu(net.deconv("decoder/Upsample_0", net.encode(x, 2), 2))
    return net.deconv("decoder/Upsample_1", x, 2)


def upsampling(net, x):
    x = net.double(net.encode(x, 2))
    x = net.f.relu(net.conv("decoder/Upsample_0", x))
    return net.conv("decoder/Upsample_1", net.double(x))


def torch_denoiser(net, x):
    x = net.encode(x, 3, ceil=False)
    for i, k in enumerate((3, 2, 2)):
        x = net.f.relu(net.deconv(f"decoder/Upsample_{i}", x, k))
    return net.conv("decoder/Conv_0", x)


def keras_io(net, x):
    x = net.encode(x, 2)
    for i in range(2):
        # SAME in Keras: without the last row and column.
        x = net.deconv(f"decoder/Upsample_{i}", x, 3)[:, :, :-1, :-1]
        x = net.f.relu(x)
    return net.conv("decoder/Conv_0", x)


REFERENCES = {
    "a_conv_denoiser": tensorflow_denoiser,
    "b_conv_denoiser": tensorflow_denoiser,
    "c_keras_conv": keras_autoencoder,
    "e_transposed": transposed,
    "e_upsampling": upsampling,
    "e_denoiser": torch_denoiser,
    "f_keras_io": keras_io,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_images_are_those_of_pytorch(name, normal, torch):
    model = model_from_config(config_of(name))
    variables = jax.tree.map(np.float32, random_variables(model, normal))
    x = normal(2, 28, 28, 1)
    ours = jax.jit(model.apply)(variables, x)
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    theirs = REFERENCES[name](Net(torch, variables["params"]), images).numpy()
    assert ours.shape == x.shape
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(
        ours, theirs.transpose(0, 2, 3, 1), rtol=0, atol=1e-5 * scale
    )


# How libraries start their layers: kernel and bias of 200 outputs and so many inputs.

FEATURES = 200
TORCH_LAYERS = {
    "Conv2d": (Conv(FEATURES), (3, 3), 9 * 5),
    "Linear": (Dense(FEATURES), (), 5),
    "ConvTranspose2d k2": (Upsample(FEATURES, "deconv_k2"), (2, 2), 4 * FEATURES),
    "ConvTranspose2d k3": (Upsample(FEATURES, "deconv_k3"), (3, 3), 9 * FEATURES),
    "Conv2d behind a resize": (Upsample(FEATURES, "nearest_k3"), (3, 3), 9 * 5),
}


@functools.partial(jax.jit, static_argnums=0)
def initial(module, x):
    return module.init(jax.random.key(0), x)["params"]


@pytest.mark.parametrize("name", TORCH_LAYERS)
def test_torch_default_is_pytorch_s(name, torch):
    ours, taps, fan_in = TORCH_LAYERS[name]
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name.split()[0])(5, FEATURES, *taps[:1])
    x = jnp.zeros((1, *taps, 5))
    params = initial(ours.clone(initializer="torch_default"), x)
    for mine, other in (("kernel", theirs.weight), ("bias", theirs.bias)):
        values, others = np.ravel(params[mine]), other.detach().numpy().ravel()
        assert values.size == others.size
        # Uniform up to a bound: of 200 numbers, the largest is near it.
        for numbers in (values, others):
            assert 0.95 < np.abs(numbers).max() * fan_in**0.5 <= 1 + 1e-6
        assert values.std() == pytest.approx(others.std(), rel=0.1)
        assert abs(values.mean()) < 3 * values.std() / values.size**0.5


@pytest.mark.parametrize(
    ("module", "initializer", "shape", "bound"),
    [
        # Keras counts a transposed convolution's channels the other way round, which
        # is the same, and knows nothing of its stride.
        (Upsample(40, "deconv_k3"), "keras_default", (2, 2, 8), 6 / (9 * (8 + 40))),
        (Conv(40), "keras_default", (2, 2, 8), 6 / (9 * (8 + 40))),
        (Dense(500), "sigmoid_uniform", (784,), 16 * 6 / (784 + 500)),
    ],
)
def test_uniform_kernels_and_no_biases(module, initializer, shape, bound):
    params = initial(module.clone(initializer=initializer), jnp.zeros((1, *shape)))
    kernel = np.asarray(params["kernel"])
    assert 0.99 < np.abs(kernel).max() / bound**0.5 <= 1 + 1e-6
    assert kernel.std() == pytest.approx((bound / 3) ** 0.5, rel=0.05)
    assert not params["bias"].any()
