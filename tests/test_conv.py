"""Tests of the stride-1 convolution and its hand-written gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from caejax.models.kinds import UPSAMPLING
from caejax.models.size import equations
from caejax.models.upsampling import Upsample
from caejax.ops import paths
from caejax.ops.conv import conv, same_padding

CASES = {
    # name: kernel (h, w, C, F), padding
    "1x1_more_features": ((1, 1, 2, 5), ((0, 0), (0, 0))),
    "1x1_more_channels": ((1, 1, 5, 2), ((0, 0), (0, 0))),
    "2x2_more_features": ((2, 2, 2, 3), ((0, 1), (0, 1))),
    "2x2_more_channels": ((2, 2, 3, 2), ((1, 1), (1, 1))),
    "3x3_more_features": ((3, 3, 1, 4), ((1, 1), (1, 1))),
    "3x3_more_channels": ((3, 3, 4, 1), ((1, 1), (1, 1))),
    "3x3_as_many": ((3, 3, 2, 2), ((2, 2), (2, 2))),
    "1x3": ((1, 3, 3, 2), ((0, 0), (1, 1))),
    "3x1": ((3, 1, 2, 3), ((1, 1), (0, 0))),
    "asymmetric_more_features": ((3, 2, 2, 3), ((2, 0), (0, 1))),
    "asymmetric_more_channels": ((3, 4, 3, 2), ((0, 1), (3, 1))),
    "1x1_in_a_frame": ((1, 1, 3, 2), ((0, 1), (2, 0))),
    "wider_than_the_kernel": ((2, 3, 3, 2), ((3, 0), (1, 4))),
    "3x3_to_few": ((3, 3, 6, 1), ((1, 1), (1, 1))),
    "asymmetric_to_few": ((2, 3, 6, 2), ((1, 0), (0, 2))),
    "valid_to_few": ((3, 3, 5, 3), ((0, 0), (0, 0))),
    "3x3_wide_rows": ((3, 3, 6, 8), ((1, 1), (1, 1))),
    "3x3_from_more_to_many": ((3, 3, 7, 5), ((1, 1), (1, 1))),
    "3x3_thin_to_thin": ((3, 3, 8, 8), ((1, 1), (1, 1))),
    "asymmetric_thin_to_thin": ((3, 2, 6, 7), ((2, 0), (0, 1))),
    "3x3_thin_to_wide": ((3, 3, 3, 20), ((1, 1), (1, 1))),
    "3x3_wide_to_few": ((3, 3, 20, 3), ((1, 1), (1, 1))),
    "2x2_wide_to_wide": ((2, 2, 18, 17), ((1, 1), (0, 1))),
    "valid_more_features": ((3, 3, 2, 4), ((0, 0), (0, 0))),
    "valid_more_channels": ((3, 3, 4, 2), ((0, 0), (0, 0))),
}


def stock_conv(x, kernel, padding):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=layout
    )


@pytest.mark.parametrize(("shape", "padding"), CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_lax(
    shape, padding, normal, assert_same_function
):
    assert_same_function(
        lambda x, kernel: conv(x, kernel, padding),
        lambda x, kernel: stock_conv(x, kernel, padding),
        normal(2, 5, 6, shape[2]),
        normal(*shape),
    )


@pytest.mark.parametrize("shape", [(3, 3, 2, 3), (2, 2, 3, 2)])
def test_gradients_inside_a_loop(shape, normal, assert_same_function):
    def in_a_loop(convolution):
        def run(images, kernel):
            def body(total, x):
                return total + convolution(x, kernel, same_padding(shape)).mean(), x

            return lax.scan(body, jnp.float32(0), images)[0]

        return run

    images, kernel = normal(3, 2, 4, 4, shape[2]), normal(*shape)
    assert_same_function(in_a_loop(conv), in_a_loop(stock_conv), images, kernel)


def test_worked_by_hand():
    x = np.float32([1, 2, 3]).reshape(1, 1, 3, 1)
    kernel = np.float32([1, 10, 100]).reshape(1, 3, 1, 1)

    def weighted(x, kernel):
        y = conv(x, kernel, same_padding(kernel.shape))
        return (y.ravel() * jnp.array([1.0, 0, 2])).sum(), y.ravel()

    grads, y = jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(x, kernel)
    np.testing.assert_array_equal(y, [210, 321, 32])
    by_x, by_kernel = map(np.ravel, grads)
    np.testing.assert_array_equal(by_x, [10, 100 + 2, 20])
    np.testing.assert_array_equal(by_kernel, [2 * 2, 1 + 2 * 3, 2])


def test_one_kernel_a_run_under_vmap(normal):
    x, kernels = normal(2, 4, 4, 3), normal(3, 3, 3, 3, 2)

    def gradient(kernel):
        return jax.grad(lambda k: (conv(x, k, same_padding(k.shape)) ** 2).sum())(
            kernel
        )

    together = jax.jit(jax.vmap(gradient))(kernels)
    apart = jnp.stack([jax.jit(gradient)(kernel) for kernel in kernels])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "channels"), [(1, 3), (2, 3), (3, 8)])
def test_keeps_bfloat16(size, channels):
    def value_and_gradients(x, kernel):
        y, pull = jax.vjp(lambda x, k: conv(x, k, same_padding(k.shape)), x, kernel)
        return y, *pull(y)

    shapes = (1, 4, 4, channels), (size, size, channels, 2)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in shapes]
    outputs = jax.eval_shape(value_and_gradients, *arrays)
    assert [y.dtype for y in outputs] == 3 * [jnp.bfloat16]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 1, 2, 3), ((0, 0), (0, 0))),
        ((2, 2, 2, 3), ((0, 1), (0, 1))),
        ((3, 3, 2, 3), ((1, 1), (1, 1))),
        ((4, 5, 2, 3), ((1, 2), (2, 2))),
        ((1, 3, 2, 3), ((0, 0), (1, 1))),
    ],
)
def test_same_padding(shape, expected, normal):
    assert same_padding(shape) == expected
    assert conv(normal(1, 5, 7, 2), normal(*shape), expected).shape[1:3] == (5, 7)


def taps_of_convolutions(jaxpr):
    """Height and width of the kernel of every convolution, loops included."""
    taps = []
    for eqn in equations(jaxpr):
        if eqn.primitive.name == "conv_general_dilated":
            spatial = eqn.params["dimension_numbers"].rhs_spec[2:]
            taps.append(tuple(eqn.invars[1].aval.shape[axis] for axis in spatial))
    return taps


def convolutions_of_training(convolution, channels):
    """Those of a loop of gradient steps on images of 8x8 and a kernel of 3x3."""

    def loss(x, kernel):
        return convolution(x, kernel, ((1, 1), (1, 1))).sum()

    def step(kernel, x):
        grad_x, grad_kernel = jax.grad(loss, (0, 1))(x, kernel)
        return kernel - grad_kernel, grad_x

    def train(kernel, images):
        return lax.scan(step, kernel, images)

    kernel = jnp.zeros((3, 3, channels, channels))
    images = jnp.zeros((5, 1, 8, 8, channels))
    return sorted(taps_of_convolutions(jax.make_jaxpr(train)(kernel, images).jaxpr))


# The kernel's gradient, as a convolution, has the output's gradient as its kernel.
SLOW = [(3, 3), (3, 3), (8, 8)]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about the CPU")
def test_no_slow_convolution_in_loops_on_cpu():
    assert convolutions_of_training(stock_conv, 24) == SLOW
    assert convolutions_of_training(conv, 24) == [(3, 3), (3, 3)]
    assert convolutions_of_training(conv, 8) == []


def test_gradient_is_left_to_jax_elsewhere(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert convolutions_of_training(conv, 24) == SLOW
    assert convolutions_of_training(conv, 8) == SLOW


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_xla_knows_gradients_of_kernels_on_accelerators(kind):
    """It turns none around: it has no fast form for those."""
    layer = Upsample(4, kind)
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    params = jax.jit(layer.init)(jax.random.key(1), x)

    def loss(params, x):
        with paths.use("polyphase"):
            return (layer.apply(params, x) ** 2).sum()

    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(params, x).compile()
    assert "convolution(" in compiled.as_text()
    assert "rhs_reversal" not in compiled.as_text()
