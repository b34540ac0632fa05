"""Arrays of any library where functions take arrays."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import caejax
from caejax import metrics
from caejax.errors import CaejaxError
from caejax.models import diagnosis, torch_kernels
from caejax.ops.foreign import as_numpy

RNG = np.random.default_rng(0)
OUTPUT = RNG.uniform(size=(2, 32, 32, 1)).astype(np.float32)
TARGET = (OUTPUT + 0.1).clip(0, 1)
# Metrics of two batches, and of one; what they are given behind these.
OF_TWO = {"mse": (), "psnr": (), "ssim": (), "bce": ()}
OF_TWO |= {"lattice_peak_db": (2,), "phase_var_db": (2,), "phase_var_cv": (2,)}
OF_ONE = {"spectrum": (2,), "phase_means": (2,), "grad_phase_db": (2,)}


class Foreign:
    """An array of a library that nobody knows."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        """The array as NumPy's."""
        return self._array


class Exchanged:
    """One that is handed over by DLPack alone."""

    def __init__(self, array):
        self._array = array
        self.__dlpack__, self.__dlpack_device__ = (
            array.__dlpack__,
            array.__dlpack_device__,
        )


class OnDevice:
    """One that NumPy is not given."""

    def __array__(self, dtype=None, copy=None):
        """Refuses, as CuPy does."""
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


def check_all(make, *, rtol=1e-6):
    """Metrics of arrays made otherwise are those of NumPy's."""
    for names, arrays in ((OF_TWO, (OUTPUT, TARGET)), (OF_ONE, (OUTPUT,))):
        for name, more in names.items():
            metric = getattr(metrics, name)
            expected = np.asarray(metric(*arrays, *more))
            found = np.asarray(metric(*map(make, arrays), *more))
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize(
    "make", [Foreign, list, memoryview, lambda x: x.astype(np.float64)]
)
def test_metrics_take_arrays_of_any_kind(make):
    check_all(make, rtol=1e-4)


def test_metrics_take_tensors():
    torch = pytest.importorskip("torch")
    check_all(torch.from_numpy)
    check_all(lambda x: torch.from_numpy(x).requires_grad_())
    check_all(lambda x: torch.from_numpy(x).double(), rtol=1e-4)
    halved = torch.from_numpy(OUTPUT).bfloat16()
    expected = metrics.mse(halved.float().numpy(), TARGET)
    assert metrics.mse(halved, torch.from_numpy(TARGET)) == pytest.approx(expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "measure",
    [
        lambda x: metrics.ssim(x, x),
        lambda x: metrics.phase_var_db(x, x, 8),
        lambda x: metrics.lattice_peak_db(x, x, 8),
    ],
)
def test_the_order_of_pytorch_is_named(measure, channels):
    with pytest.raises(ValueError, match=r"looks like PyTorch's .*permute\(0, 2, 3, "):
        measure(np.zeros((4, channels, 32, 32), np.float32))
    with pytest.raises(ValueError, match="at least") as told:  # theirs are in order
        measure(np.zeros((4, 8, 8, channels), np.float32))
    assert "PyTorch" not in str(told.value)


def test_metrics_are_compiled_and_differentiated_as_before():
    gradient = jax.jit(jax.grad(lambda x: metrics.mse(x, TARGET).sum()))(OUTPUT)
    assert gradient.shape == OUTPUT.shape
    assert isinstance(metrics.psnr(jnp.asarray(OUTPUT), TARGET), jax.Array)
    assert list(inspect.signature(metrics.psnr).parameters) == ["output", "target"]
    assert metrics.psnr is metrics.psnr
    assert metrics.psnr.__doc__.startswith("Peak signal-to-noise ratio")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (OnDevice(), "a OnDevice that cannot be made.*Implicit conversion"),
        (object(), "object is no array"),
        (np.ndarray, "type is no array"),
    ],
)
def test_what_is_no_array_is_one_line(value, words):
    with pytest.raises(CaejaxError, match=words):
        as_numpy(value, "images")


def test_lists_are_of_one_shape():
    with pytest.raises(CaejaxError, match=r"output: .*\(32, 32, 1\) and \(8, 8, 1\)"):
        metrics.psnr(output=[OUTPUT[0], OUTPUT[0, :8, :8]], target=TARGET)


def test_arrays_are_handed_over_by_dlpack_where_they_are():
    np.testing.assert_array_equal(as_numpy(Exchanged(OUTPUT), "x"), OUTPUT)


def test_kernels_may_be_tensors():
    torch = pytest.importorskip("torch")
    layer = torch.nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1)
    kernel = torch_kernels.from_torch(layer.weight, "deconv_k4")
    ripple = diagnosis.kernel_ripple_db(kernel, "deconv_k4")
    tensor = torch.tensor(kernel, requires_grad=True)
    assert diagnosis.kernel_ripple_db(tensor, "deconv_k4") == ripple
    weight = torch_kernels.to_torch(tensor, "deconv_k4")
    np.testing.assert_array_equal(weight, layer.weight.detach())


def test_diagnose_takes_inputs_of_other_libraries():
    torch = pytest.importorskip("torch")
    layer = torch.nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1)
    x = RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = caejax.diagnose(layer, torch.from_numpy(x))["ripple_db"]
    kinds = (jnp.asarray(x), Foreign(x), x[..., ::-1][..., ::-1])
    for given in (*kinds, torch.from_numpy(x).requires_grad_()):
        assert caejax.diagnose(layer, given)["ripple_db"] == expected

    def double(x):
        return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)

    assert caejax.diagnose(double, torch.from_numpy(x).requires_grad_()).clean


def test_torch_is_not_imported_for_it():
    code = (
        "import sys, numpy as np, caejax; x = np.zeros((1, 16, 16, 1)); "
        "caejax.metrics.psnr([x[0]], x); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]
