"""Tests of the algebra of upsampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.ops import polyphase

depth_to_space = jax.jit(polyphase.depth_to_space, static_argnums=1)
interleave = jax.jit(polyphase.interleave, static_argnums=1)
phase_gains = jax.jit(polyphase.phase_gains, static_argnums=1)
phase_kernel = jax.jit(polyphase.phase_kernel, static_argnums=1)
smooth = jax.jit(polyphase.smooth, static_argnums=1)
upsample = jax.jit(polyphase.upsample, static_argnames=("origin", "stride", "border"))

NEAREST = (1.0, 1.0)
BILINEAR = (0.25, 0.75, 0.75, 0.25)

# Filter length, origin, stride: more, as many and fewer taps than phases; the
# last two filters paint beside their pixel.
FILTERS = [
    (1, 0, 2),
    (2, 0, 2),
    (2, -1, 2),
    (3, 0, 2),
    (3, -1, 2),
    (4, -1, 2),
    (6, -2, 2),
    (7, -3, 2),
    (2, 0, 3),
    (3, -1, 3),
    (7, -2, 3),
    (8, -3, 3),
    (5, -2, 1),
    (3, 1, 2),
    (1, -1, 2),
]


def paint(x, h, origin, stride):
    """Puts the filter around each input pixel and adds up: the definition."""
    batch, height, width, _ = x.shape
    y = np.zeros((batch, stride * height, stride * width, h.shape[3]))
    for m, n in np.ndindex(height, width):
        for i, j in np.ndindex(h.shape[:2]):
            row, column = stride * m + origin + i, stride * n + origin + j
            if 0 <= row < y.shape[1] and 0 <= column < y.shape[2]:
                y[:, row, column] += x[:, m, n] @ h[i, j]
    return y


@pytest.mark.parametrize(("length", "origin", "stride"), FILTERS)
@pytest.mark.parametrize("border", ["zero", "wrap"])
def test_upsample_is_its_definition(length, origin, stride, border, normal):
    x, h = normal(2, 3, 4, 2), normal(length, length, 2, 3)
    if border == "zero":
        expected = paint(x, h, origin, stride)
    else:
        ring = ((0, 0), (length, length), (length, length), (0, 0))
        crop = slice(stride * length, -stride * length)
        expected = paint(np.pad(x, ring, "wrap"), h, origin, stride)[:, crop, crop]
    y = upsample(x, h, origin=origin, stride=stride, border=border)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_upsample_worked_by_hand():
    x = np.float32([1, 10]).reshape(1, 1, 2, 1)
    h = np.zeros((3, 3, 1, 1), np.float32)
    h[0, :, 0, 0] = 1, 2, 3

    def upsampled(h, **options):
        return np.asarray(upsample(x, h, **options))[0, ..., 0]

    y = upsampled(h, origin=0)
    np.testing.assert_array_equal(y, [[1, 2, 3 + 10, 20], [0, 0, 0, 0]])
    y = upsampled(h, origin=-1)
    np.testing.assert_array_equal(y, np.zeros((2, 4)))
    y = upsampled(h.swapaxes(0, 1), origin=0)
    np.testing.assert_array_equal(y, [[1, 0, 10, 0], [2, 0, 20, 0]])
    y = upsampled(h, origin=0, border="wrap")
    np.testing.assert_array_equal(y, [[1 + 30, 2, 3 + 10, 20], [0, 0, 0, 0]])


@pytest.mark.parametrize("stride", [2, 3])
def test_upsample_is_linear_and_shifts_with_its_input(stride, normal):
    h = normal(4, 4, 2, 3)

    def run(x):
        return np.asarray(upsample(x, h, origin=-1, stride=stride))

    a, b = normal(1, 6, 6, 2), normal(1, 6, 6, 2)
    np.testing.assert_allclose(run(2 * a - b), 2 * run(a) - run(b), atol=1e-4)
    shifted = run(np.roll(a, (1, 1), (1, 2)))
    inside = slice(2 * stride, -2 * stride)
    np.testing.assert_allclose(
        shifted[:, inside, inside],
        np.roll(run(a), (stride, stride), (1, 2))[:, inside, inside],
        atol=1e-5,
    )


@pytest.mark.parametrize("stride", [2, 3])
def test_wrapping_continues_a_constant_to_the_border(stride, normal):
    h = normal(4, 4, 1, 1)
    x = np.ones((1, 2, 3, 1), np.float32)
    y = upsample(x, h, origin=0, stride=stride, border="wrap")
    expected = np.tile(np.asarray(phase_gains(h, stride))[..., 0, 0], (2, 3))
    np.testing.assert_allclose(np.asarray(y)[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("length", "origin", "stride"), [(2, 0, 2), (3, 0, 2), (10, -4, 2), (7, -3, 3)]
)
def test_one_wrapped_pixel_is_one_period(length, origin, stride, normal):
    """Of what a constant gives; so are two stages in a row."""
    h, g = normal(length, length, 2, 3), normal(length, length, 3, 2)
    x = normal(1, 1, 1, 2)

    def stages(x, border):
        y = upsample(x, h, origin=origin, stride=stride, border=border)
        z = upsample(y, g, origin=origin, stride=stride, border=border)
        return map(np.asarray, (y, z))

    y, z = stages(x, "wrap")
    gains = np.roll(phase_gains(h, stride), (origin, origin), (0, 1))
    np.testing.assert_allclose(y[0], x[0, 0, 0] @ gains, atol=1e-4)
    # Nine pixels, of which the middle one sees no border.
    y_all, z_all = stages(np.tile(x, (1, 9, 9, 1)), "zero")
    for one, all_, scale in ((y, y_all, stride), (z, z_all, stride**2)):
        middle = slice(4 * scale, 5 * scale)
        np.testing.assert_allclose(
            one, all_[:, middle, middle], rtol=0, atol=1e-5 * np.abs(one).max()
        )


def test_unknown_border():
    with pytest.raises(ValueError, match="'mirror'; known: 'zero', 'wrap'"):
        upsample(
            jnp.ones((1, 2, 2, 1)), jnp.ones((2, 2, 1, 1)), origin=0, border="mirror"
        )


def test_depth_to_space_by_hand():
    one = np.arange(8.0).reshape(1, 1, 1, 8)
    expected = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    np.testing.assert_array_equal(depth_to_space(one, 2), [expected])
    row = np.arange(8.0).reshape(1, 1, 2, 4)
    expected = np.array([[0, 1, 4, 5], [2, 3, 6, 7]])[None, ..., None]
    np.testing.assert_array_equal(depth_to_space(row, 2), expected)


@pytest.mark.parametrize("stride", [2, 3])
def test_depth_to_space_is_pixel_shuffle(stride, torch, normal):
    x = normal(2, 3, 4, stride**2 * 5)
    # PyTorch has the features outermost in the channels.
    reordered = x.reshape(2, 3, 4, stride**2, 5).transpose(0, 4, 3, 1, 2)
    nchw = torch.from_numpy(np.ascontiguousarray(reordered)).flatten(1, 2)
    expected = torch.nn.functional.pixel_shuffle(nchw, stride)
    np.testing.assert_array_equal(
        depth_to_space(x, stride), expected.permute(0, 2, 3, 1)
    )


NINE = np.arange(1.0, 10).reshape(3, 3, 1, 1)  # [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_phase_kernel_by_hand():
    kernel = np.asarray(phase_kernel(NINE, 2))
    assert kernel.shape == (2, 2, 1, 4)
    expected = [[[9, 7], [3, 1]], [[0, 8], [0, 2]], [[0, 0], [6, 4]], [[0, 0], [0, 5]]]
    np.testing.assert_array_equal(kernel[:, :, 0].transpose(2, 0, 1), expected)
    np.testing.assert_array_equal(np.ravel(phase_kernel(NINE, 3)), np.arange(1, 10))


@pytest.mark.parametrize("stride", [2, 3])
def test_interleave_undoes_phase_kernel(stride, normal):
    h = normal(3 * stride, 3 * stride, 2, 4)
    np.testing.assert_array_equal(interleave(phase_kernel(h, stride), stride), h)
    kernel = normal(2, 2, 3, stride**2)
    np.testing.assert_array_equal(
        phase_kernel(interleave(kernel, stride), stride), kernel
    )


def test_phase_gains_by_hand():
    gains = np.asarray(phase_gains(NINE))[..., 0, 0]
    np.testing.assert_array_equal(gains, [[1 + 3 + 7 + 9, 2 + 8], [4 + 6, 5]])
    ones = np.asarray(phase_gains(np.ones_like(NINE)))[..., 0, 0]
    np.testing.assert_array_equal(ones, [[4, 2], [2, 1]])


@pytest.mark.parametrize(("length", "stride"), [(2, 2), (5, 2), (5, 3), (2, 3)])
def test_phase_gains_are_sums_over_phases(length, stride, normal):
    h = normal(length, length, 2, 3)
    expected = [
        [h[p::stride, q::stride].sum((0, 1)) for q in range(stride)]
        for p in range(stride)
    ]
    gains = phase_gains(h, stride)
    np.testing.assert_allclose(gains, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        (NEAREST, [100, 110, 11, 1]),
        (BILINEAR, np.array([100, 310, 331, 133, 13, 1]) / 4),
    ],
)
def test_smooth_by_hand(resize, expected):
    picture = np.outer([100.0, 10, 1], [1.0, 0, 2]).reshape(3, 3, 1, 1)
    h = np.asarray(smooth(picture, resize))[..., 0, 0]
    turned = np.convolve([1, 0, 2], resize)
    np.testing.assert_allclose(h, np.outer(expected, turned), rtol=1e-6)
    np.testing.assert_array_equal(smooth(picture, (1.0,)), picture)


@pytest.mark.parametrize("resize", [NEAREST, BILINEAR])
def test_resizing_makes_the_gains_equal(resize, normal):
    kernel = normal(3, 3, 2, 4)
    gains = phase_gains(smooth(kernel, resize))
    expected = np.broadcast_to(kernel.sum((0, 1)), gains.shape)
    np.testing.assert_allclose(gains, expected, atol=1e-5)


def test_untied_phases_have_the_power_of_theory(normal):
    """Var / mean^2 over phases of independent gains: 4.77 dB (s^2 - 1 = 3)."""
    gains = np.asarray(phase_gains(normal(2, 2, 64, 64)))
    ratio = gains.var((0, 1)).mean() / (gains.mean((0, 1)) ** 2).mean()
    assert 10 * np.log10(ratio) == pytest.approx(4.77, abs=0.3)


@pytest.mark.parametrize("origin", [-4, 2])
def test_upsample_refuses_a_filter_far_from_its_pixel(origin):
    with pytest.raises(ValueError, match="between -3 and 1"):
        upsample(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), origin=origin)
