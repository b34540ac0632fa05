"""Tests of the losses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.losses import LOSSES

# Two images of 1x2 pixels, target and output.
TARGET = jnp.array([0.0, 1, 0.5, 0.25]).reshape(2, 1, 2, 1)
OUTPUT = jnp.array([0.0, 0.5, 1, -0.75]).reshape(2, 1, 2, 1)


def softplus(x):
    return np.log1p(np.exp(x))


BY_HAND = {
    # -t log p - (1 - t) log(1 - p) = softplus(z) - t z
    "bce": [
        (np.log(2) + softplus(0.5) - 0.5) / 2,
        (softplus(1) - 0.5 + softplus(-0.75) + 0.25 * 0.75) / 2,
    ],
    "mse": [0.25 / 2, (0.25 + 1) / 2],
    "l1": [0.5 / 2, 1.5 / 2],
    # Errors of 0, 0.5, 0.5 and 1, each with the default epsilon beside it.
    "charbonnier": [
        (1e-3 + np.hypot(0.5, 1e-3)) / 2,
        (np.hypot(0.5, 1e-3) + np.hypot(1, 1e-3)) / 2,
    ],
    "log_mse": [np.log(1 + 1250), np.log(1 + 6250)],
    "sse": [0.25, 1.25],
}
# Name in PyTorch, of the mean over pixels.
TORCH = {
    "bce": "binary_cross_entropy_with_logits",
    "mse": "mse_loss",
    "l1": "l1_loss",
    "log_mse": "mse_loss",
    "sse": "mse_loss",
}


@pytest.mark.parametrize("name", LOSSES)
def test_worked_by_hand(name):
    value = LOSSES[name].per_image(OUTPUT, TARGET)
    np.testing.assert_allclose(value, BY_HAND[name], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_those_of_pytorch(name, normal, torch):
    loss = LOSSES[name]
    output = 3 * normal(3, 4, 5, 2)
    target = np.random.default_rng(0).uniform(size=(3, 4, 5, 2)).astype(np.float32)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient_and_values(output):
        values = loss.per_image(output, target)
        total = values.sum() if loss.summed else values.mean()
        return total, values

    gradient, values = gradient_and_values(output)

    theirs = torch.from_numpy(output).requires_grad_()
    expected = torch_pixels(torch, name, theirs, torch.from_numpy(target))
    # A mean over pixels and a mean over images; of "sse" both are sums.
    expected = expected.sum((1, 2, 3)) / (1 if name == "sse" else 40)
    if name == "log_mse":
        expected = torch.log(1e-4 + expected) - np.log(1e-4)
    (expected.sum() / (1 if name == "sse" else 3)).backward()
    assert values.shape == (3,)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-5)
    np.testing.assert_allclose(gradient, theirs.grad, rtol=1e-4, atol=1e-7)


def torch_pixels(torch, name, output, target):
    if name == "charbonnier":
        return torch.hypot(output - target, torch.tensor(1e-3))
    return getattr(torch.nn.functional, TORCH[name])(output, target, reduction="none")


@pytest.mark.parametrize("name", LOSSES)
def test_how_training_uses_it(name):
    loss = LOSSES[name]
    assert loss.from_logits == (name == "bce")
    assert loss.summed == (name == "sse")


def test_bce_of_extreme_logits():
    logits = jnp.array([-200.0, 200, -200, 200]).reshape(4, 1, 1, 1)
    target = jnp.array([0.0, 1, 1, 0]).reshape(4, 1, 1, 1)
    value = LOSSES["bce"].per_image(logits, target)
    np.testing.assert_allclose(value, [0, 0, 200, 200], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "param"), [(name, x) for name, loss in LOSSES.items() for x in loss.params]
)
def test_gradients_are_finite_whatever_a_parameter_may_be(name, param):
    loss, images = LOSSES[name], jnp.full((1, 2, 2, 1), 0.5)
    least = {param: loss.params[param].low}
    gradient = jax.grad(lambda x: loss.per_image(x, images, **least).sum())(images)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("output", "target"),
    [
        ((2, 3, 3, 1), (2, 3, 3, 3)),
        ((2, 3, 3, 1), (1, 3, 3, 1)),
        ((2, 3, 3, 1), (2, 3, 3)),
        ((3, 3, 1), (3, 3, 1)),
        ((2, 9), (2, 9)),
    ],
)
def test_other_shapes_are_refused(name, output, target):
    with pytest.raises(ValueError, match="one shape"):
        LOSSES[name].per_image(jnp.zeros(output), jnp.zeros(target))
