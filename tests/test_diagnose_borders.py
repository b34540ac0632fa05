"""Flat inputs stay flat inside a model; what next to nothing of them reaches."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers.onnx_files import onnx_file
from jax import lax
from scipy.signal import correlate

from caejax.diagnose import diagnose
from caejax.diagnose.jax_function import trace_function
from caejax.diagnose.trace import Change


def continued(image, weight, pads, stride):
    """Output (n1, ..., nd) of an image (C, ...) that goes on as at its borders."""
    wide = np.pad(image, ((0, 0), *pads), mode="edge")
    made = correlate(wide, weight[0], "valid")[0]
    return made[tuple(slice(None, None, step) for step in stride)]


@pytest.mark.parametrize(
    ("taps", "pads", "stride"),
    [
        ((3,), ((1, 1),), (2,)),
        ((3, 2), ((1, 1), (2, 2)), (1, 2)),
        ((3, 3, 3), ((1, 1), (0, 0), (2, 2)), (1, 1, 1)),
        ((3, 3), ((0, 1), (2, 1)), (2, 1)),
    ],
)
def test_convolutions_continue_their_input(taps, pads, stride, normal, tmp_path):
    """In each language, against SciPy; pads that differ where a language has them."""
    image, weight = normal(1, 2, *(9, 8, 7)[: len(taps)]), normal(1, 2, *taps)
    expected = continued(image[0], weight, pads, stride)
    change = {0: Change(edge=True)}

    axes = "DHW"[-len(taps) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    trace = trace_function(
        lambda x: lax.conv_general_dilated(
            x, kernel, stride, pads, dimension_numbers=layout
        ),
        [np.moveaxis(image, 1, -1)],
    )
    (found,) = trace.run([[image]], change)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)

    starts, ends = zip(*pads, strict=True)
    for version in (10, 17):
        path = onnx_file(
            tmp_path / "x.onnx",
            [("Conv", ["x", "w"], ["y"], {"pads": starts + ends, "strides": stride})],
            {"w": weight},
            shape=[1, *image.shape[1:]],
            version=version,
        )
        from caejax.diagnose import onnx_file as of_onnx

        trace = of_onnx.trace_model(of_onnx.read(path), [image])
        (found,) = trace.run([[image]], change)
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)

    torch = pytest.importorskip("torch")
    from caejax.diagnose.torch_module import trace_module

    if starts == ends:
        kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
        layer = kinds[len(taps) - 1](2, 1, taps, stride, starts, bias=False)
        layer.weight.data[:] = torch.as_tensor(weight)
        trace = trace_module(layer, [torch.as_tensor(image)])
        (found,) = trace.run([[image]], change)
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)


class Resizes(nn.Module):
    """Convolutions, normalisation over space, and resizes: it can draw no pattern."""

    @nn.compact
    def __call__(self, x):
        for stage in range(4):
            x = nn.Conv(8, (3, 3), strides=(2, 2) if stage < 2 else 1)(x)
            x = nn.relu(nn.GroupNorm(2)(x))
            if stage >= 2:
                x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
        return nn.Conv(3, (3, 3))(x)


def test_resizes_are_clean_in_small_images_that_are_normalised(normal, key):
    model, x = Resizes(), normal(1, 32, 32, 3)
    params = model.init(key, x)
    found = diagnose(lambda x: model.apply(params, x), x)
    assert found["period"] == [4, 4]
    assert found["ripple_db"] < -100
    assert "do not stay flat" not in " ".join(found["about"])


def test_resizes_are_clean_in_pytorch(torch, normal):
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1)]
    for scale in (1, 1, 2, 2):
        layers += [
            torch.nn.GroupNorm(2, 8),
            torch.nn.SiLU(),
            torch.nn.Conv2d(8, 8, 5, padding=2),
            torch.nn.Upsample(scale_factor=scale),
        ]
    torch.manual_seed(0)
    model = torch.nn.Sequential(*layers, torch.nn.Conv2d(8, 3, 3, padding=1))
    found = diagnose(model, normal(1, 3, 16, 16))
    assert found["ripple_db"] < -100
    assert found.clean


@pytest.mark.parametrize("dirty", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_what_flat_inputs_do_not_reach_is_judged_by_its_kernel(
    dirty, last, torch, normal
):
    """Each channel's own normalisation leaves nothing of a constant but its bias."""
    torch.manual_seed(0)
    up = [torch.nn.Upsample(scale_factor=2), torch.nn.Conv2d(8, 3, 3, padding=1)]
    if dirty:
        up = [torch.nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)]
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.InstanceNorm2d(8, affine=True),
        torch.nn.ReLU(),
        *up,
        torch.nn.Conv2d(3, 3, 3, padding=1),
    )
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(values)
    if last:  # a result that is not nothing, and holds no pattern
        torch.nn.init.ones_(model[-1].bias)
    found = diagnose(model, normal(1, 3, 24, 24))
    assert found.clean is not dirty
    assert "next to nothing reaches" in " ".join(found["about"]) or not dirty
    if dirty:
        assert found["places"][0]["ripple_db"] is None
        assert "by its kernel" in " ".join([*found["about"], found["verdict"]])
