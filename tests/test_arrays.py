"""Arrays as users hold them: what is taken as what, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from caejax.errors import CaejaxError
from caejax.inference.arrays import as_batch, as_codes

BYTES = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 1), np.uint8)


class Tensor:
    """What is used of PyTorch's tensors, where PyTorch is not installed."""

    __module__ = "torch"

    def __init__(self, array, dtype="torch.float32", *, done=()):
        self.array, self.dtype, self.done = array, dtype, done

    def detach(self):
        return Tensor(self.array, self.dtype, done=(*self.done, "detach"))

    def cpu(self):
        return Tensor(self.array, self.dtype, done=(*self.done, "cpu"))

    def float(self):
        return Tensor(self.array, "torch.float32", done=self.done)

    def numpy(self):
        assert self.done == ("detach", "cpu")
        assert self.dtype != "torch.bfloat16"
        return self.array


@pytest.mark.parametrize(
    ("shape", "channels", "batch", "alone"),
    [
        ((6, 5), 1, (1, 6, 5, 1), True),
        ((6, 5, 1), 1, (1, 6, 5, 1), True),
        ((6, 5, 3), 3, (1, 6, 5, 3), True),
        ((3, 5, 3), 3, (1, 3, 5, 3), True),
        ((3, 6, 5), 1, (3, 6, 5, 1), False),
        ((1, 6, 5), 1, (1, 6, 5, 1), False),
        ((2, 6, 5, 1), 1, (2, 6, 5, 1), False),
        ((2, 6, 5, 3), 3, (2, 6, 5, 3), False),
        ((3, 3, 3, 3), 3, (3, 3, 3, 3), False),
        ((6, 5, 2), 2, (1, 6, 5, 2), True),
    ],
)
def test_shapes(shape, channels, batch, alone):
    array = np.random.default_rng(0).random(shape, np.float32)
    taken = as_batch(array, channels)
    assert (taken.images.shape, taken.shape, taken.alone) == (batch, shape, alone)
    np.testing.assert_array_equal(taken.images.reshape(shape), array)


@pytest.mark.parametrize(
    ("shape", "channels", "words"),
    [
        ((), 1, r"of shape \(\): give \(H, W\)"),
        ((36,), 1, r"of shape \(36,\): give \(H, W\)"),
        ((1, 1, 6, 5, 1), 1, "or (N, H, W, C)"),
        ((6, 5), 3, "takes colour images; give (H, W, 3)"),
        ((6, 5, 3), 1, "takes grey images, not 3 channels; .*images.mean"),
        ((2, 6, 5, 3), 1, "takes grey images, not 3 channels"),
        ((6, 5, 2), 1, "leave the transparency out, images[..., 0]"),
        ((6, 5, 4), 1, "the mean of the colours, images[..., :3].mean(-1)"),
        ((2, 1, 6, 5), 1, "images.permute(0, 2, 3, 1) or np.moveaxis(images, 1, -1)"),
        ((3, 6, 5), 3, "images.permute(1, 2, 0) or np.moveaxis(images, 0, -1)"),
        ((2, 3, 6, 5), 3, "channels come first, as PyTorch has them"),
        ((2, 6, 5), 3, "takes colour images; give (H, W, 3) or (N, H, W, 3)"),
        ((2, 6, 5, 1), 3, "repeat the grey, np.repeat(images, 3, axis=-1)"),
        ((6, 5, 4), 3, "leave the transparency out, images[..., :3]"),
        ((6, 5, 3), 2, "takes images of 2 channels"),
        ((2, 3, 6, 7), 1, r"moveaxis\(images, 1, -1\); the model takes grey images$"),
        ((2, 4, 6, 7), 3, "images.permute(0, 2, 3, 1)"),
        ((1, 6, 5), 3, r"images.permute\(1, 2, 0\) .*; the model takes colour images$"),
        ((2, 5, 6, 7), 1, "takes grey images; give (H, W, 1) or (N, H, W, 1)"),
        ((0, 6, 5), 1, "are empty"),
        ((0, 5), 1, "are empty"),
    ],
)
def test_other_shapes_are_one_line_with_the_mend(shape, channels, words):
    with pytest.raises(CaejaxError) as caught:
        as_batch(np.zeros(shape), channels)
    line = str(caught.value)
    assert str(shape) in line
    assert len(line.splitlines()) == 1
    pattern = (
        words
        if "\\" in words or ".*" in words
        else words.translate({ord(x): f"\\{x}" for x in "()[]."})
    )
    with pytest.raises(CaejaxError, match=pattern):
        as_batch(np.zeros(shape), channels)


def test_an_image_of_a_list_is_a_single_one():
    assert as_batch(np.zeros((6, 5)), 1, one=True).images.shape == (1, 6, 5, 1)
    for shape, words in {
        (2, 6, 5, 1): r"images\[3\] of shape .*: give a single image, \(H, W\) or",
        (2, 6, 5): r"give \(H, W, 1\), channels last",
        (1, 6, 5): r"images.permute\(1, 2, 0\)",
    }.items():
        with pytest.raises(CaejaxError, match=words):
            as_batch(np.zeros(shape), 1, one=True, name="images[3]")


@pytest.mark.parametrize(
    ("array", "rtol"),
    [
        (BYTES, 0),
        (BYTES.astype(np.uint16) * 257, 1e-6),
        (BYTES.astype(">u2") * 257, 1e-6),
        (BYTES.astype(np.float32) / 255, 0),
        (BYTES.astype(np.float64) / 255, 1e-7),
        (BYTES.astype(np.float16) / 255, 1e-2),
        (jnp.asarray(BYTES), 0),
        (jnp.asarray(BYTES, jnp.bfloat16) / 255, 1e-2),
        (Tensor(BYTES, "torch.uint8"), 0),
        (Tensor(BYTES / np.float32(255), "torch.bfloat16"), 0),
        (memoryview(BYTES).obj, 0),
    ],
)
def test_kinds_and_types_of_arrays(array, rtol):
    images = as_batch(array, 1).images
    assert type(images) is np.ndarray
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, BYTES / np.float32(255), rtol=rtol)


def test_pytorch_tensors(torch):
    array = BYTES.astype(np.float32) / 255
    for tensor, rtol in (
        (torch.from_numpy(BYTES), 0),
        (torch.from_numpy(array).requires_grad_(), 0),
        (torch.from_numpy(array).double(), 0),
        (torch.from_numpy(array).bfloat16(), 1e-2),
        (torch.from_numpy(array).permute(0, 2, 1, 3).permute(0, 2, 1, 3), 0),
    ):
        np.testing.assert_allclose(as_batch(tensor, 1).images, array, rtol=rtol)
    with pytest.raises(CaejaxError, match=r"images.permute\(0, 2, 3, 1\)"):
        as_batch(torch.zeros(2, 1, 6, 5), 1)
    with pytest.raises(CaejaxError, match="one image in colour or three grey ones"):
        as_batch(torch.zeros(3, 6, 5), 1)
    assert as_batch(np.zeros((3, 6, 5)), 1).images.shape == (3, 6, 5, 1)


def test_booleans_are_black_and_white():
    images = as_batch(BYTES > 127, 1).images
    np.testing.assert_array_equal(images, (BYTES > 127).astype(np.float32))


def test_images_of_pillow():
    grey = Image.fromarray(BYTES[0, ..., 0])
    np.testing.assert_array_equal(
        as_batch(grey, 1).images[0], BYTES[0] / np.float32(255)
    )
    assert as_batch(grey.convert("RGB"), 3).images.shape == (1, 6, 5, 3)
    with pytest.raises(CaejaxError, match="a PIL image of mode 'P' is not taken"):
        as_batch(grey.convert("P"), 1)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        ("photo.png", "str is no array; read the file first"),
        (None, "NoneType is no array; give an array of NumPy, JAX or PyTorch"),
        ([[0.0, 1.0]], "list is no array"),
        (np.zeros((6, 5), np.int64), "of type int64; give uint8 in 0..255"),
        (np.zeros((6, 5), np.complex64), "of type complex64"),
        (np.zeros((6, 5), object), "of type object"),
    ],
)
def test_what_is_no_array_of_images_is_refused(array, words):
    with pytest.raises(CaejaxError, match=words):
        as_batch(array, 1)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 255, r"from 0 to 255, .* in \[0, 1\]; divide by 255"),
        (-80, 330, "from -80 to 330, .*; divide by 255"),
        (0, 65535, "divide by 65535"),
        (-1, 1, r"from -1 to 1, .* take \(images \+ 1\) / 2"),
        (-2, 2, "undo their normalisation, or clip them"),
        (0, 1 + 1e-5, "from 0 to 1.00001, "),
        (-1e-5, 1, "from -1e-05 to 1, "),
        (0, np.nan, "hold 1 values that are NaN or infinite"),
        (-np.inf, np.nan, "hold 2 values"),
    ],
)
def test_floats_beyond_0_to_1_are_refused(low, high, words):
    array = np.full((6, 5), 0.5)
    array[0, :2] = low, high
    with pytest.raises(CaejaxError, match=words):
        as_batch(array, 1)


def test_rounding_beyond_0_to_1_is_clipped():
    array = np.linspace(-1e-7, 1 + 1e-7, 30, dtype=np.float32).reshape(6, 5)
    images = as_batch(array, 1).images
    assert (images.min(), images.max()) == (0, 1)


def test_noise_may_take_floats_beyond_0_to_1_and_is_clipped():
    array = np.random.default_rng(0).normal(0.5, 0.8, (6, 5))
    assert array.min() < 0
    assert array.max() > 1
    images = as_batch(array, 1, noisy=True).images[0, ..., 0]
    np.testing.assert_array_equal(images, array.clip(0, 1).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.linspace(0, 255, 30), "divide by 255"),
        (np.linspace(-9, 0, 30), "undo their normalisation"),
        (np.linspace(-1, 0.2, 30), r"take \(images \+ 1\) / 2"),
        (np.array([np.inf] * 30), "infinite"),
    ],
)
def test_noise_is_not_taken_for_another_range(array, words):
    with pytest.raises(CaejaxError, match=words):
        as_batch(array.reshape(6, 5), 1, noisy=True)


def test_codes():
    codes = np.arange(24).reshape(2, 3, 4)
    for array, shape in ((codes, (3, 4)), (codes[0], (3, 4)), (codes, (4,))):
        taken = as_codes(array, shape)
        assert taken.dtype == np.float32
        np.testing.assert_array_equal(taken, array)
    np.testing.assert_array_equal(as_codes(Tensor(codes), (4,)), codes)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.zeros((2, 4, 3)),
            r"\(2, 4, 3\): the model's are \(3, 4\), or many",
        ),
        (np.zeros(4), r"of shape \(4,\)"),
        (np.zeros((0, 3, 4)), r"of shape \(0, 3, 4\)"),
        (np.full((3, 4), np.nan), "NaN"),
        (np.zeros((3, 4), complex), "of type complex128; give floats"),
        ("codes.npz", "str is no array"),
    ],
)
def test_what_is_no_code_is_refused(array, words):
    with pytest.raises(CaejaxError, match=words):
        as_codes(array, (3, 4))
