"""Flat inputs stay flat inside a model; what next to nothing of them reaches."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers.onnx_files import onnx_file
from helpers.random_models import random_model
from jax import lax
from scipy.signal import convolve, correlate

from caejax.diagnose import diagnose
from caejax.diagnose.jax_function import trace_function
from caejax.diagnose.reach import as_of_large_images
from caejax.diagnose.trace import Change
from caejax.export import export


def continued(image, weight, pads, stride):
    """Output (n1, ..., nd) of an image (C, ...) that goes on as at its borders."""
    wide = np.pad(image, ((0, 0), *pads), mode="edge")
    made = correlate(wide, weight[0], "valid")[0]
    return made[tuple(slice(None, None, step) for step in stride)]


def assert_continued(trace, image, expected):
    """Checks what the first step makes of (1, C, ...) that goes on at its borders."""
    (found,) = trace.run([[image]], {0: Change(edge=True)})
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)


def onnx_traces(operator, about, weight, image, folder):
    """Of a file with one operator, as old and new versions have it."""
    from caejax.diagnose import onnx_file as of_onnx

    for version in (10, 17):
        path = onnx_file(
            folder / "x.onnx",
            [(operator, ["x", "w"], ["y"], about)],
            {"w": weight},
            shape=[1, *image.shape[1:]],
            version=version,
        )
        yield of_onnx.trace_model(of_onnx.read(path), [image])


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

    axes = "DHW"[-len(taps) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    trace = trace_function(
        lambda x: lax.conv_general_dilated(
            x, kernel, stride, pads, dimension_numbers=layout
        ),
        [np.moveaxis(image, 1, -1)],
    )
    assert_continued(trace, image, expected)

    starts, ends = zip(*pads, strict=True)
    about = {"pads": starts + ends, "strides": stride}
    for trace in onnx_traces("Conv", about, weight, image, tmp_path):
        assert_continued(trace, image, expected)

    torch = pytest.importorskip("torch")
    from caejax.diagnose.torch_module import trace_module

    if starts == ends:
        kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
        layer = kinds[len(taps) - 1](2, 1, taps, stride, starts, bias=False)
        layer.weight.data[:] = torch.as_tensor(weight)
        trace = trace_module(layer, [torch.as_tensor(image)])
        assert_continued(trace, image, expected)


def spread(array, steps):
    """(n1, ..., nd) with zeros between the entries."""
    made = np.zeros([1 + s * (n - 1) for n, s in zip(array.shape, steps, strict=True)])
    made[tuple(slice(None, None, s) for s in steps)] = array
    return made


def enlarged(image, weight, layer):
    """What a transposed convolution makes of an image (C, ...) that goes on so."""
    far, taps = 6, weight.shape[2:]
    wide = np.pad(image, ((0, 0), *[(far, far)] * len(taps)), mode="edge")
    made = sum(
        convolve(spread(x, layer["stride"]), spread(w[0], layer["dilation"]))
        for x, w in zip(wide, weight, strict=True)
    )
    numbers = (image.shape[1:], taps, *layer.values())
    for axis, (n, k, s, p, more, d) in enumerate(zip(*numbers, strict=True)):
        first, size = far * s + p, s * (n - 1) - 2 * p + d * (k - 1) + more + 1
        made = made.take(range(first, first + size), axis)
    return made


@pytest.mark.parametrize(
    ("taps", "stride", "padding", "more", "dilation"),
    [
        ((4,), (2,), (1,), (0,), (1,)),
        ((5, 3), (2, 3), (2, 0), (1, 2), (1, 1)),
        ((3, 4), (2, 1), (1, 2), (1, 0), (3, 2)),
        ((2, 2, 3), (2, 4, 2), (0, 0, 1), (0, 1, 1), (1, 1, 1)),
    ],
)
def test_transposed_convolutions_continue_their_input(
    taps, stride, padding, more, dilation, normal, tmp_path
):
    """In each language, against SciPy."""
    image, weight = normal(1, 2, *(5, 4, 3)[: len(taps)]), normal(2, 1, *taps)
    layer = {"stride": stride, "padding": padding, "more": more, "dilation": dilation}
    expected = enlarged(image[0], weight, layer)

    axes = "DHW"[-len(taps) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    kernel = np.moveaxis(np.flip(weight, range(2, weight.ndim)), (0, 1), (-2, -1))
    reach = [d * (k - 1) for d, k in zip(dilation, taps, strict=True)]
    pads = [(r - p, r - p + m) for r, p, m in zip(reach, padding, more, strict=True)]
    trace = trace_function(
        lambda x: lax.conv_general_dilated(
            x,
            kernel,
            [1] * len(taps),
            pads,
            lhs_dilation=stride,
            rhs_dilation=dilation,
            dimension_numbers=layout,
        ),
        [np.moveaxis(image, 1, -1)],
    )
    assert_continued(trace, image, expected)

    about = {"pads": 2 * padding, "strides": stride, "output_padding": more}
    about |= {"dilations": dilation}
    for trace in onnx_traces("ConvTranspose", about, weight, image, tmp_path):
        assert_continued(trace, image, expected)

    torch = pytest.importorskip("torch")
    from caejax.diagnose.torch_module import trace_module

    kinds = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d)
    kind = (*kinds, torch.nn.ConvTranspose3d)[len(taps) - 1]
    module = kind(2, 1, taps, stride, padding, more, bias=False, dilation=dilation)
    module.weight.data[:] = torch.as_tensor(weight)
    trace = trace_module(module, [torch.as_tensor(image)])
    assert_continued(trace, image, expected)


@pytest.mark.parametrize("taps", [3, 4, 5, 6])
def test_small_maps_stay_flat_through_transposed_convolutions(taps):
    """Of a generator of 4 x 4 pixels, mended: no border is taken for content."""
    torch = pytest.importorskip("torch")
    from caejax import fix

    torch.manual_seed(0)
    layers = [torch.nn.ConvTranspose2d(20, 16, 4), torch.nn.ReLU()]
    for channels in (16, 8, 4):
        about = {"stride": 2, "padding": (taps - 1) // 2, "output_padding": taps % 2}
        narrow = torch.nn.ConvTranspose2d(channels, channels // 2, taps, **about)
        layers += [narrow, torch.nn.ReLU()]
    model, given = torch.nn.Sequential(*layers[:-1]).eval(), torch.randn(4, 20, 1, 1)
    assert not diagnose(model, given).clean
    found = diagnose(fix(model, given), given)
    assert found.clean
    assert found["ripple_db"] < -100
    assert all(place["ripple_db"] < -100 for place in found["places"])


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pads_that_a_file_leaves_open(auto, stride, normal, tmp_path):
    """As ONNX defines them, of an even number of taps, too."""
    image, weight = normal(1, 2, 8, 7), normal(1, 2, 3, 4)
    sizes = zip(image.shape[2:], weight.shape[2:], stride, strict=True)
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in sizes]
    pads = [(t // 2, t - t // 2)[:: 1 if auto == "SAME_UPPER" else -1] for t in totals]
    if auto == "VALID":
        pads = [(0, 0), (0, 0)]
    path = onnx_file(
        tmp_path / "x.onnx",
        [("Conv", ["x", "w"], ["y"], {"auto_pad": auto, "strides": stride})],
        {"w": weight},
        shape=image.shape,
    )
    from caejax.diagnose import onnx_file as of_onnx

    trace = of_onnx.trace_model(of_onnx.read(path), [image])
    (found,) = trace.run([[image]], {0: Change(edge=True)})
    expected = continued(image[0], weight, pads, stride)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)


def test_an_exported_model_is_as_clean_as_its_run(tmp_path):
    """Of three stages, whose inputs of 28 pixels no code fits evenly."""
    pytest.importorskip("onnxruntime")
    model = random_model(widths=(6, 8, 8), latent_channels=4, upsampling="nearest_k3")
    export(model, "onnx", tmp_path / "x.onnx")
    found = diagnose(tmp_path / "x.onnx")
    assert found["ripple_db"] < -100
    assert found.clean


@pytest.mark.parametrize("more", [{}, {"noise_map": True}])
def test_an_exported_model_draws_what_its_run_does(more, tmp_path):
    """Both are given the same flat images, and measured before the activation."""
    pytest.importorskip("onnxruntime")
    model = random_model(
        widths=(6, 8), latent_channels=4, upsampling="deconv_k3", **more
    )
    export(model, "onnx", tmp_path / "x.onnx")
    export(model, "safetensors", tmp_path / "x.safetensors")
    found, run = (diagnose(tmp_path / f"x.{form}") for form in ("onnx", "safetensors"))
    for field in ("ripple_db", "slope_ripple_db"):
        assert found[field] == pytest.approx(run[field], abs=0.2)
    assert any("of the whole model may be compared" in x for x in found["about"])
    assert any("flat images between 0 and 1" in line for line in found["about"])
    assert any("runs of caejax are probed, too" in line for line in found["about"])


def test_what_pads_for_a_convolution_continues_its_input(normal, tmp_path):
    """Before layers that halve an image, on two sides, in each language."""
    image, weight = normal(1, 2, 8, 7), normal(1, 2, 3, 3)
    expected = continued(image[0], weight, ((0, 1), (0, 1)), (2, 2))

    def in_jax(x):
        wide = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        kernel = weight.transpose(2, 3, 1, 0)
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            wide, kernel, (2, 2), "VALID", dimension_numbers=layout
        )

    def found(trace):
        whole = as_of_large_images(trace)
        return whole.run([[image]])[0][0, 0]

    of_jax = trace_function(in_jax, [np.moveaxis(image, 1, -1)])
    np.testing.assert_allclose(found(of_jax), expected, atol=1e-5)
    path = onnx_file(
        tmp_path / "x.onnx",
        [
            ("Pad", ["x", "p"], ["wide"], {}),
            ("Conv", ["wide", "w"], ["y"], {"strides": (2, 2)}),
        ],
        {"w": weight, "p": np.array([0, 0, 0, 0, 0, 0, 1, 1])},
        shape=image.shape,
    )
    from caejax.diagnose import onnx_file as of_onnx

    of_file = of_onnx.trace_model(of_onnx.read(path), [image])
    np.testing.assert_allclose(found(of_file), expected, atol=1e-5)
    torch = pytest.importorskip("torch")
    from caejax.diagnose.torch_module import trace_module

    class Cut(torch.nn.Module):
        def forward(self, x):
            # Of a part, and of the batch, which nothing continues.
            return torch.nn.functional.pad(x, (0, 0, 0, 0, 0, 0, 0, 1))[:1, :, :20]

    layer = torch.nn.Sequential(
        torch.nn.ZeroPad2d((0, 1, 0, 1)), Cut(), torch.nn.Conv2d(2, 1, 3, 2, bias=False)
    )
    layer[2].weight.data[:] = torch.as_tensor(weight)
    of_torch = trace_module(layer, [torch.as_tensor(image)])
    np.testing.assert_allclose(found(of_torch), expected, atol=1e-5)


def test_what_pads_before_frames_are_joined_continues_its_input(torch, normal):
    """As of videos that are looked at in pieces."""
    image, weight = normal(1, 2, 3, 8, 7), normal(1, 2, 1, 3, 3)

    class Joined(torch.nn.Module):
        def forward(self, x):
            wide = torch.nn.functional.pad(x, (0, 1, 0, 1))
            wide = torch.cat([wide[:, :, :1], wide], 2)
            return torch.nn.functional.conv3d(
                wide, torch.as_tensor(weight), stride=(1, 2, 2)
            )

    from caejax.diagnose.torch_module import trace_module

    trace = trace_module(Joined(), [torch.as_tensor(image)])
    (found,) = as_of_large_images(trace).run([[image]])
    for frame, n in enumerate((0, 0, 1, 2)):
        expected = continued(image[0, :, n], weight[:, :, 0], ((0, 1), (0, 1)), (2, 2))
        np.testing.assert_allclose(found[0, 0, frame], expected, atol=1e-5)


def test_channels_that_are_padded_stay_zeros(normal, tmp_path):
    """As those of a skip past a layer that has more of them, also where space is."""
    image, weight = normal(1, 2, 8, 7), normal(1, 4, 3, 3)

    def in_jax(x):
        wide = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 2)))
        layout = ("NHWC", "OIHW", "NHWC")
        return lax.conv_general_dilated(
            wide, jnp.asarray(weight), (1, 1), "VALID", dimension_numbers=layout
        )

    path = onnx_file(
        tmp_path / "x.onnx",
        [("Pad", ["x", "p"], ["wide"], {}), ("Conv", ["wide", "w"], ["y"], {})],
        {"w": weight, "p": np.array([0, 0, 1, 1, 0, 2, 1, 1])},
        shape=image.shape,
    )
    from caejax.diagnose import onnx_file as of_onnx

    of_jax = trace_function(in_jax, [np.moveaxis(image, 1, -1)])
    for trace in (of_jax, of_onnx.trace_model(of_onnx.read(path), [image])):
        (own,), (found,) = (
            trace.run([[image]]),
            as_of_large_images(trace).run([[image]]),
        )
        np.testing.assert_allclose(found, own, atol=1e-5)


def test_what_pads_before_channels_are_put_second_continues_its_input(normal, tmp_path):
    image, weight = normal(1, 2, 8, 7), normal(1, 2, 3, 3)
    path = onnx_file(
        tmp_path / "x.onnx",
        [
            ("Pad", ["x", "p"], ["wide"], {}),
            ("Transpose", ["wide"], ["second"], {"perm": [0, 3, 1, 2]}),
            ("Conv", ["second", "w"], ["y"], {"strides": (2, 2)}),
        ],
        {"w": weight, "p": np.array([0, 0, 0, 0, 0, 1, 1, 0])},
        shape=(1, 8, 7, 2),
    )
    from caejax.diagnose import onnx_file as of_onnx

    trace = as_of_large_images(of_onnx.trace_model(of_onnx.read(path), [image]))
    expected = continued(image[0], weight, ((0, 1), (0, 1)), (2, 2))
    np.testing.assert_allclose(trace.run([[image]])[0][0, 0], expected, atol=1e-5)


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
def test_what_lies_behind_a_normalisation_is_reached(dirty, torch, normal):
    """Which by a flat map's own statistics would leave nothing of it."""
    torch.manual_seed(0)
    up = [torch.nn.Upsample(scale_factor=2), torch.nn.Conv2d(8, 3, 3, padding=1)]
    if dirty:
        up = [torch.nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)]
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.InstanceNorm2d(8), *up
    )
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(values)
    found = diagnose(model, normal(1, 3, 24, 24))
    assert found.clean is not dirty
    if dirty:
        (place,) = found["places"]
        assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)


@pytest.mark.parametrize("over", ["channels", "space"])
def test_only_what_normalises_over_space_is_said_to(over, torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(4, 4, 2, 2)
            self.norm = torch.nn.LayerNorm(4 if over == "channels" else [4, 32, 32])

        def forward(self, x):
            y = self.up(x)
            y = y.permute(0, 2, 3, 1) if over == "channels" else y
            y = self.norm(y)
            return y.permute(0, 3, 1, 2) if over == "channels" else y

    about = diagnose(Module(), normal(1, 4, 16, 16))["about"]
    assert any("over space" in x for x in about) == (over == "space")


def test_of_what_next_to_nothing_reaches_kernels_judge(torch, normal):
    """A mean that is taken off in a way that is not seen as one."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 3, 3, 2, 1, 1, bias=False)

        def forward(self, x):
            return self.up(x - torch.einsum("bchw->bc", x)[..., None, None] / 24**2)

    found = diagnose(Module(), normal(1, 3, 24, 24))
    assert not found.clean
    assert found["ripple_db"] is None
    assert "next to nothing reaches the result" in " ".join(found["about"])


def normalised(x, weight, bias, groups):
    """(C, n1, ..., nd) less its groups' means, over their deviations, as an affine."""
    parts = x.reshape(groups, -1)
    mean, scale = parts.mean(1), 1 / np.sqrt(parts.var(1) + 1e-5)
    each = (-1, *[1] * (x.ndim - 1))
    mean, scale = (np.repeat(v, len(x) // groups).reshape(each) for v in (mean, scale))
    return lambda y: (y - mean) * scale * weight.reshape(each) + bias.reshape(each)


def check_statistics(trace, x, y, expected):
    """Those of its own change nothing; of another input they make it an affine map."""
    kept = trace.statistics
    assert kept
    (own,), (fixed,) = trace.run([[x]]), trace.run([[x]], kept)
    np.testing.assert_allclose(fixed, own, atol=1e-5)
    np.testing.assert_allclose(own[0], expected(x[0]), atol=1e-5)
    (found,) = trace.run([[y]], kept)
    np.testing.assert_allclose(found[0], expected(y[0]), atol=1e-5)


@pytest.mark.parametrize("kind", ["group", "instance", "layer", "by hand"])
def test_statistics_are_kept_in_pytorch(kind, torch, normal):
    from caejax.diagnose.torch_module import trace_module

    x, y, weight, bias = normal(1, 4, 6, 5), normal(1, 4, 6, 5), normal(4), normal(4)
    groups = {"group": 2, "layer": 1}.get(kind, 4)

    class ByHand(torch.nn.Module):
        def forward(self, x):
            variance, mean = torch.var_mean(x, (-2, -1), correction=0, keepdim=True)
            same = x.mean((2, 3), keepdim=True) - mean
            return (x - mean + same) / variance.add_(1e-5).sqrt()

    layer = {
        "group": torch.nn.GroupNorm(2, 4),
        "instance": torch.nn.InstanceNorm2d(4, affine=True),
        "layer": torch.nn.LayerNorm([4, 6, 5]),
        "by hand": ByHand(),
    }[kind]
    if kind == "by hand":
        weight, bias = np.ones_like(weight), np.zeros_like(bias)
    for values, array in zip(layer.parameters(), (weight, bias), strict=False):
        array = torch.as_tensor(array)
        values.data[:] = array[:, None, None] if values.ndim > 1 else array
    trace = trace_module(layer, [torch.as_tensor(x)])
    check_statistics(trace, x, y, normalised(x[0], weight, bias, groups))


def test_what_is_no_statistic_of_space_is_not_kept(torch, normal, tmp_path):
    """Batches' means, which are fixed, and those over the channels of tokens."""
    from caejax.diagnose import onnx_file as of_onnx
    from caejax.diagnose.torch_module import trace_module

    class Tokens(torch.nn.Module):
        def forward(self, x):
            return x * x.pow(2).mean(-1, keepdim=True).rsqrt()

    x, tokens = normal(1, 4, 6, 5), normal(1, 12, 8)
    for layer, array in (
        (torch.nn.BatchNorm2d(4), x),
        (torch.nn.LayerNorm(8), tokens),
        (Tokens(), tokens),
    ):
        trace = trace_module(layer, [torch.as_tensor(array)])
        assert not trace.statistics
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [-1]}),
        ("Sub", ["x", "mean"], ["y"], {}),
    ]
    path = onnx_file(tmp_path / "x.onnx", nodes, {}, shape=tokens.shape)
    trace = of_onnx.trace_model(of_onnx.read(path), [tokens])
    assert not trace.statistics


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_statistics_are_kept_in_jax(groups, normal):
    x, y, weight, bias = normal(1, 4, 6, 5), normal(1, 4, 6, 5), normal(4), normal(4)
    layer, params = nn.GroupNorm(groups, epsilon=1e-5), {"scale": weight, "bias": bias}
    trace = trace_function(
        lambda x: layer.apply({"params": params}, x), [np.moveaxis(x, 1, -1)]
    )
    check_statistics(trace, x, y, normalised(x[0], weight, bias, groups))
    pools = trace_function(
        lambda x: x.reshape(1, 3, 2, 5, 4).mean(2), [np.moveaxis(x, 1, -1)]
    )
    assert not pools.statistics


@pytest.mark.parametrize("version", [18, 21])
def test_statistics_of_groups_are_kept_in_onnx(version, normal, tmp_path):
    """Groups have numbers of their own, or, in newer files, channels have."""
    x, y, weight, bias = normal(1, 4, 6, 5), normal(1, 4, 6, 5), normal(2), normal(2)
    each = np.repeat(weight, 2), np.repeat(bias, 2)
    given = (weight, bias) if version == 18 else each
    path = onnx_file(
        tmp_path / "x.onnx",
        [("GroupNormalization", ["x", "w", "b"], ["y"], {"num_groups": 2})],
        dict(zip("wb", given, strict=True)),
        shape=x.shape,
        version=version,
    )
    from caejax.diagnose import onnx_file as of_onnx

    trace = of_onnx.trace_model(of_onnx.read(path), [x])
    check_statistics(trace, x, y, normalised(x[0], *each, 2))


@pytest.mark.parametrize("alone", [True, False])
def test_statistics_are_kept_in_onnx(alone, normal, tmp_path):
    x, y, weight, bias = normal(1, 4, 6, 5), normal(1, 4, 6, 5), normal(4), normal(4)
    nodes = [("InstanceNormalization", ["x", "w", "b"], ["y"], {})]
    if not alone:
        weight, bias = np.ones_like(weight), np.zeros_like(bias)
        nodes = [
            ("ReduceMean", ["x"], ["mean"], {"axes": [2, 3]}),
            ("Sub", ["x", "mean"], ["d"], {}),
            ("Mul", ["d", "d"], ["d2"], {}),
            ("ReduceMean", ["d2"], ["variance"], {"axes": [2, 3]}),
            ("Add", ["variance", "e"], ["more"], {}),
            ("Sqrt", ["more"], ["deviation"], {}),
            ("Div", ["d", "deviation"], ["y"], {}),
        ]
    weights = {"w": weight, "b": bias, "e": np.float32([1e-5])}
    path = onnx_file(tmp_path / "x.onnx", nodes, weights, shape=x.shape)
    from caejax.diagnose import onnx_file as of_onnx

    trace = of_onnx.trace_model(of_onnx.read(path), [x])
    check_statistics(trace, x, y, normalised(x[0], weight, bias, 4))


@pytest.mark.parametrize("axes", [[2, 3], [1, 2, 3], None])
def test_statistics_of_means_and_variances_are_kept_in_onnx(axes, normal, tmp_path):
    """A clean model's flat inputs gave numbers that are not finite."""
    given = {} if axes is None else {"axes": axes}
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Conv", ["x", "k"], ["a"], {}),
            ("MeanVarianceNormalization", ["a"], ["b"], given),
            ("ConvTranspose", ["b", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"k": normal(6, 3, 3, 3), "w": normal(6, 3, 1, 1).repeat(2, 2).repeat(2, 3)},
    )
    found = diagnose(path)
    assert found.clean
    assert found["ripple_db"] < -100
    assert any("normalises over space" in line for line in found["about"])
