"""Tests of smooth enlarging with half of the products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from caejax.models.kinds import UPSAMPLING
from caejax.models.upsampling import apply_kind
from caejax.ops import paths
from caejax.ops.smooth import enlarging_matrix

KINDS = ("bilinear_k3", "bicubic_k3", "deconv_k3_fir")


@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", ["bilinear_k3", "bicubic_k3"])
def test_matrices_are_those_of_jax_s_resize(kind, size):
    kind = UPSAMPLING[kind]
    matrix = enlarging_matrix(size, kind.fixed, resize=True)
    expected = jax.image.resize(jnp.eye(size), (2 * size, size), kind.run)
    np.testing.assert_allclose(matrix[1:-1], expected, atol=1e-6)
    assert not matrix[[0, -1]].any()


def test_a_matrix_by_hand():
    matrix = enlarging_matrix(2, (0.25, 0.75, 0.75, 0.25), resize=False)
    quarters = [[1, 0], [3, 0], [3, 1], [1, 3], [0, 3], [0, 1]]
    np.testing.assert_array_equal(4 * matrix, quarters)


def by(path, kind):
    """A layer of a kind, computed by a path."""

    def run(x, kernel):
        with paths.use(path):
            return apply_kind(x, kernel, kind)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_stock_layers(
    kind, normal, assert_same_function
):
    kind = UPSAMPLING[kind]
    x, kernel = normal(2, 3, 1, 64), normal(3, 3, 64, 65)
    assert not any_convolution(by("matmul", kind), x, kernel)
    assert_same_function(by("matmul", kind), by("stock", kind), x, kernel, rtol=2e-5)


@pytest.mark.parametrize(("kind", "origin"), [("bilinear_k3", -3), ("bicubic_k3", -5)])
def test_other_kernels_of_wide_layers(kind, origin, normal, assert_same_function):
    """As one adds them: see docs/howto/decoder.md."""
    kind = UPSAMPLING[kind]._replace(kernel_size=5, origin=origin)
    x, kernel = normal(1, 4, 5, 64), normal(5, 5, 64, 64)
    assert_same_function(by("matmul", kind), by("stock", kind), x, kernel, rtol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_narrow_layers_go_without(kind):
    x = jax.ShapeDtypeStruct((1, 4, 4, 6), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 6, 20), jnp.float32)
    assert any_convolution(by("matmul", UPSAMPLING[kind]), x, kernel)


def any_convolution(function, *args):
    return lax.conv_general_dilated_p.name in str(jax.make_jaxpr(function)(*args))
