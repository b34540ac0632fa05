"""Tests of the image quality metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from caejax.losses import per_image
from caejax.metrics import quality

METRICS = {name: jax.jit(getattr(quality, name)) for name in ("bce", "psnr", "ssim")}


@pytest.fixture
def pair():
    """Two batches of images in [0, 1], the second a noisy version of the first."""

    def draw(batch, height, width, channels):
        rng = np.random.default_rng(0)
        clean = rng.uniform(size=(batch, height, width, channels))
        noisy = clean + rng.uniform(0.05, 0.4, (batch, 1, 1, 1)) * rng.normal(
            size=clean.shape
        )
        return np.clip(noisy, 0, 1).astype(np.float32), clean.astype(np.float32)

    return draw


def constant(value, size=12):
    return jnp.full((1, size, size, 1), value)


@pytest.mark.parametrize("shape", [(4, 28, 28, 1), (3, 11, 20, 3)])
def test_psnr_and_ssim_are_those_of_scikit_image(shape, pair):
    output, target = pair(*shape)
    expected = [
        (
            peak_signal_noise_ratio(y, x, data_range=1),
            structural_similarity(
                y,
                x,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1,
                channel_axis=-1,
            ),
        )
        for x, y in zip(output, target, strict=True)
    ]
    psnr, ssim = np.transpose(expected)
    np.testing.assert_allclose(METRICS["psnr"](output, target), psnr, rtol=1e-5)
    np.testing.assert_allclose(METRICS["ssim"](output, target), ssim, atol=1e-5)


@pytest.mark.parametrize(
    ("metric", "output", "target", "expected"),
    [
        ("psnr", 0.6, 0.5, 20),
        ("psnr", 0.0, 1.0, 0),
        ("psnr", 0.5, 0.0, 6.0206),
        ("psnr", 0.3, 0.3, 100),
        # Constant images: (2 a b + C1) / (a^2 + b^2 + C1).
        ("ssim", 0.5, 0.25, 0.2501 / 0.3126),
        ("ssim", 1.0, 0.0, 0.0001 / 1.0001),
        ("ssim", 0.3, 0.3, 1),
        ("bce", 0.5, 0.0, np.log(2)),
        ("bce", 0.5, 0.3, np.log(2)),
        ("bce", 0.9, 1.0, -np.log(0.9)),
        ("bce", 0.9, 0.25, -0.25 * np.log(0.9) - 0.75 * np.log(0.1)),
    ],
)
def test_worked_by_hand(metric, output, target, expected):
    value = METRICS[metric](constant(output), constant(target))
    assert value.shape == (1,)
    assert value.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_extremes_are_finite(pair):
    black, white = constant(0.0), constant(1.0)
    for output, target in [(black, white), (white, black)]:
        assert METRICS["bce"](output, target).item() == pytest.approx(16, abs=0.2)
    noisy, _ = pair(3, 16, 16, 2)
    np.testing.assert_allclose(METRICS["psnr"](noisy, noisy), 100)
    np.testing.assert_allclose(METRICS["ssim"](noisy, noisy), 1, atol=1e-5)


@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_symmetries(metric, pair):
    (x, y), run = pair(3, 14, 14, 2), METRICS[metric]
    value = run(x, y)
    for other in [
        run(y, x),
        run(x[:, ::-1], y[:, ::-1]),
        run(x.swapaxes(1, 2), y.swapaxes(1, 2)),
        run(x[..., ::-1], y[..., ::-1]),
        run(x[::-1], y[::-1])[::-1],
    ]:
        np.testing.assert_allclose(other, value, rtol=1e-5)


def test_ssim_is_between_minus_one_and_one(pair):
    _, x = pair(3, 14, 14, 2)
    against_negative = METRICS["ssim"](x, 1 - x)
    assert (against_negative > -1).all()
    assert (against_negative < -0.5).all()


def test_more_noise_is_worse(pair):
    _, x = pair(1, 20, 20, 1)
    noise = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    for metric in ("psnr", "ssim"):
        values = [METRICS[metric](x + a * noise, x).item() for a in (0.05, 0.1, 0.3)]
        assert values == sorted(values, reverse=True)


def test_bce_is_that_of_the_logits(normal):
    logits, target = 3 * normal(2, 3, 4, 2), jax.nn.sigmoid(normal(2, 3, 4, 2))
    value = METRICS["bce"](jax.nn.sigmoid(logits), target)
    expected = jax.jit(per_image.bce)(logits, target)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "shape", [(2, 12, 12, 3), (1, 12, 12, 1), (12, 12, 1), (2, 12, 1, 1)]
)
def test_other_shapes_are_refused(metric, shape):
    with pytest.raises(ValueError, match="one shape"):
        METRICS[metric](jnp.zeros((2, 12, 12, 1)), jnp.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "mend"),
    [
        ((12, 12), "output[None, :, :, None]"),
        ((12, 12, 1), "output[None]"),
        ((12, 12, 3), "output[None]"),
        ((5, 12, 12), "output[..., None]"),
    ],
)
def test_of_other_axes_it_is_said_which_to_add(shape, mend):
    x = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=r"must be \(B, H, W, C\)") as told:
        METRICS["psnr"](x, x)
    assert str(told.value).endswith(f"as in {mend}")
    output = eval(mend, {"output": x})
    assert METRICS["psnr"](output, output)[0] == pytest.approx(100)
    with pytest.raises(ValueError, match=r"floating point in .*: divide by 255"):
        METRICS["psnr"](np.uint8(output), np.uint8(output))


@pytest.mark.parametrize("size", [(10, 12), (12, 10)])
def test_small_images_have_no_ssim(size):
    x = jnp.zeros((1, *size, 1))
    with pytest.raises(ValueError, match="at least 11x11"):
        METRICS["ssim"](x, x)
    assert METRICS["psnr"](x, x).item() == pytest.approx(100)
