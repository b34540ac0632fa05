"""Tests of the instrument: places that enlarge are found, read, measured."""

import itertools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers.onnx_files import onnx_file
from PIL import Image

import caejax
from caejax.diagnose import __main__ as command
from caejax.diagnose import diagnose, phases, probe
from caejax.diagnose.layouts import find_blocks
from caejax.diagnose.result import Diagnosis, to_text
from caejax.errors import CaejaxError
from caejax.models.upsampling import Upsample
from caejax.ops import gains
from caejax.ops.foreign import as_numpy


def test_phases_of_a_transposed_convolution_by_hand():
    """Taps 1 2 3 every 2 pixels: even pixels get 1 + 3, odd ones 2."""
    weight = np.array([[[1.0, 2.0, 3.0]]])
    found = phases.of_transposed(weight, (2,))
    assert found.gains.ravel().tolist() == [4, 2]
    assert found.power.tolist() == [10, 4]
    assert found.taps.tolist() == [2, 1]
    assert phases.spread_db(found) == pytest.approx(10 * np.log10(1 / 9))
    assert phases.overlap_db(found) == pytest.approx(10 * np.log10(10 / 4))
    cropped = phases.of_transposed(weight, (2,), padding=(1,))
    assert cropped.gains.ravel().tolist() == [2, 4]
    dilated = phases.of_transposed(weight, (2,), dilation=(2,))
    assert dilated.gains.ravel().tolist() == [6, 0]
    assert phases.clean_transposed(weight, (2,), (2,)) is None


def test_phases_behind_a_blur_by_hand():
    found = phases.of_transposed(np.array([[[1.0, 2.0, 3.0]]]), (2,))
    assert phases.blurred(found, np.array([0.5, 0.5])).gains.ravel().tolist() == [3, 3]


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [((5,), (3,), (1,)), ((3, 4), (2, 2), (1, 1)), ((3, 3), (2, 2), (3, 1))],
)
def test_the_clean_kernel_is_the_nearest(kernel, stride, dilation):
    """Against least squares with the constraint written out as equations."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 3, *kernel))
    clean = phases.clean_transposed(weight, stride, dilation)
    gains = phases.of_transposed(clean, stride, dilation).gains
    np.testing.assert_allclose(
        gains, np.broadcast_to(gains[(0,) * len(stride)], gains.shape)
    )
    rows = []
    for phase in itertools.product(*map(range, stride)):
        hit = np.zeros(kernel)
        for tap in itertools.product(*map(range, kernel)):
            at = tuple(d * j % s for d, j, s in zip(dilation, tap, stride, strict=True))
            hit[tap] = at == phase
        rows.append(hit.ravel())
    equal = np.array(rows[1:]) - rows[0]
    project = np.eye(equal.shape[1]) - np.linalg.pinv(equal) @ equal
    expected = weight.reshape(2, 3, -1) @ project
    np.testing.assert_allclose(clean.reshape(2, 3, -1), expected, atol=1e-12)


def test_a_clean_shuffle_has_one_gain_and_one_bias(normal):
    weight, bias = normal(12, 2, 3, 3), normal(12)
    order = np.arange(12).reshape(2, 2, 3)
    moved, level = phases.clean_shuffle(weight, order, bias)
    found = phases.of_shuffle(moved, order, level)
    assert phases.spread_db(found) < -120
    assert phases.bias_spread(found) < 1e-7
    assert level.sum() == pytest.approx(bias.sum(), abs=1e-5)
    assert (moved - weight).sum() == pytest.approx(0, abs=1e-4)


def patches(x, swapped=False):
    """(B, h w, p p C) to (B, C, h p, w p), the tokens of 4 x 6 places."""
    x = x.reshape(x.shape[0], 4, 6, 2, 2, -1)
    x = x.transpose((0, 5, 1, 4, 2, 3) if swapped else (0, 5, 1, 3, 2, 4))
    return x.reshape(x.shape[0], -1, 8, 12)


def shuffle(x):
    """PyTorch's pixel shuffle by 3 of (B, C, H, W)."""
    b, c, h, w = x.shape
    x = x.reshape(b, c // 9, 3, 3, h, w).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(b, c // 9, 3 * h, 3 * w)


@pytest.mark.parametrize(
    ("shape", "move", "stride", "axis", "first"),
    [
        ((2, 18, 4, 5), shuffle, (3, 3), 1, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
        ((1, 24, 12), patches, (2, 2), 2, [[0, 3], [6, 9]]),
        ((1, 24, 12), lambda x: patches(x, swapped=True), (2, 2), 2, [[0, 6], [3, 9]]),
        (
            (1, 4, 7),
            lambda x: x.reshape(1, 2, 2, 7).transpose(0, 1, 3, 2).reshape(1, 2, 14),
            (2,),
            1,
            [0, 1],
        ),
    ],
    ids=["shuffle", "patches", "swapped patches", "one axis"],
)
def test_channels_that_become_pixels(shape, move, stride, axis, first):
    found = find_blocks(shape, move)
    assert (found.stride, found.channel_axes) == (stride, (axis,))
    assert found.order[..., 0].tolist() == first
    assert not found.repeated


def test_phases_that_have_axes_of_their_own():
    """As optical flow is enlarged by weights that are computed for each pixel."""
    found = find_blocks(
        (1, 2, 4, 4, 3, 5),
        lambda x: x.transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 12, 20),
    )
    assert found.joined
    assert (found.stride, found.channel_axes) == ((4, 4), (1, 2, 3))
    assert found.order[1, 2].tolist() == [6, 22]


def test_repeated_pixels_are_a_nearest_resize():
    assert find_blocks((1, 3, 4, 5), lambda x: x.repeat(2, 2).repeat(2, 3)).repeated


@pytest.mark.parametrize(
    "move",
    [lambda x: x, lambda x: x.transpose(0, 2, 3, 1), lambda x: x.reshape(1, 12, -1)],
    ids=["nothing", "channels last", "flat"],
)
def test_what_enlarges_nothing(move):
    assert find_blocks((1, 12, 4, 5), move) is None


def test_channels_that_are_repeated_enlarge_nothing():
    """Without a copy, which NumPy's `broadcast_to` does not make."""
    shape = (1, 1, 4, 48, 48)
    move = lambda x: np.broadcast_to(x, (1, 8, *shape[2:]))  # noqa: E731
    assert find_blocks(shape, move) is None


def test_patterns_by_hand():
    image = np.ones((1, 1, 24))
    image[..., 1::2] = 1.2
    found = probe.pattern(image, (2,))
    assert found.power == pytest.approx(0.01)
    assert found.db == pytest.approx(20 * np.log10(0.1 / 1.1))
    assert found.rest == pytest.approx(0)
    trend = np.linspace(0, 3, 24) + np.linspace(-2, 1, 24) ** 2
    bent = probe.pattern(image + trend, (2,))
    assert bent.power == pytest.approx(0.01)
    with pytest.raises(ValueError, match="24 pixels are too few for the period 12"):
        probe.pattern(image, (12,))


def test_a_nearest_resize_steps_on_slopes():
    """By a quarter to both sides of a line of one half a pixel: -6.0 dB."""
    steps = np.arange(20.0).repeat(2)[None, None]
    assert probe.slope_pattern(steps, (2,), 2) == pytest.approx(-6.02, abs=0.05)


class Decoder(nn.Module):
    """Two transposed convolutions, and channels that become pixels, in JAX."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.ConvTranspose(4, (3, 3), (2, 2))(x))
        x = jax.image.resize(
            x, (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], 4), "nearest"
        )
        x = nn.Conv(12, (3, 3))(x)
        b, h, w, _ = x.shape
        x = x.reshape(b, h, w, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(b, 2 * h, 2 * w, 3)


def test_jax_functions(normal, key):
    model, x = Decoder(), normal(1, 12, 12, 3)
    params = model.init(key, x)
    found = diagnose(lambda x: model.apply(params, x), x)
    names = [place["name"] for place in found["places"]]
    ends = [name.split("/")[-1] for name in names]
    assert ends == ["ConvTranspose_0", "Decoder", "Conv_0"]
    periods = [[8, 8], [4, 4], [2, 2]]
    assert [place["period"] for place in found["places"]] == periods
    assert [x["clean"] for x in found["places"]] == [False, True, False]
    assert found["places"][1]["operation"] == "jax.image.resize (nearest) + conv2d"
    assert not found.clean
    assert found["ripple_db"] > -30
    for place in found["places"][::2]:
        assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    assert "draws a pattern of period 8x8" in str(found)
    assert json.loads(found.to_json())["places"] == found["places"]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", ["deconv_k3", "shuffle_k3", "nearest_k3"])
def test_layers_of_caejax_are_seen_as_what_they_are(kind, wide, normal, key):
    """And what is jitted runs afterwards as it did."""
    layer, x = Upsample(40 if wide else 3, kind), normal(1, 12, 12, 40 if wide else 4)
    variables = layer.init(key, x)
    apply = jax.jit(layer.apply)
    way = jax.make_jaxpr(apply)(variables, x)
    places = diagnose(lambda x: apply(variables, x), x)["places"]
    (place,) = places
    assert place["kernel"] == [3, 3]
    said = {"deconv_k3": "transposed conv2d", "shuffle_k3": "conv2d + reshape",
            "nearest_k3": "jax.image.resize (nearest) + conv2d"}  # fmt: skip
    assert place["operation"] == said[kind]
    assert str(jax.make_jaxpr(apply)(variables, x)) == str(way)


def test_the_cure_of_a_function_is_one_that_there_is(normal, key):
    layer, x = nn.ConvTranspose(3, (4, 4), (2, 2)), normal(1, 12, 12, 3)
    variables = layer.init(key, x)
    found = diagnose(lambda x: layer.apply(variables, x), x)
    name, stride = re.match(r"caejax\.ops\.gains\.(\w+)\(kernel, (\d)\)",
                            found["places"][0]["cure"]).groups()  # fmt: skip
    kernel = getattr(gains, name)(variables["params"]["kernel"], int(stride))
    mended = {"params": variables["params"] | {"kernel": kernel}}
    assert not found.clean
    assert diagnose(lambda x: layer.apply(mended, x), x).clean
    with pytest.raises(CaejaxError, match=r"gains\.equal_gains\(kernel"):
        caejax.fix(lambda x: x, x)


def test_a_clean_model_is_clean(normal, key):
    layer = nn.Conv(3, (3, 3))
    x = normal(1, 12, 12, 3)
    params = layer.init(key, x)
    found = diagnose(
        lambda x: layer.apply(params, jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)), x
    )
    assert found.clean
    assert found["ripple_db"] < -100
    assert [place["operation"] for place in found["places"]] == ["reshape (nearest)"]
    none = diagnose(lambda x: layer.apply(params, x), x)
    assert none.clean
    assert "no place that enlarges" in none["verdict"]


def test_models_that_hand_on_their_input_or_do_not_look_at_it_are_clean(torch, normal):
    x = normal(1, 8, 8, 8)
    for model in (lambda x: x, lambda x: 2 * x, jnp.zeros_like, torch.nn.Identity()):
        found = diagnose(model, x)
        assert found.clean
        assert "no place that enlarges" in found["verdict"]


def test_pytorch_modules(torch, normal):
    """Functional calls and skips are seen, groups and odd strides are predicted."""
    from torch.nn import functional as F

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(4, 6, 5, 3, 1, groups=2)
            self.register_buffer("kernel", torch.randn(12, 6, 3, 3))

        def forward(self, x):
            y = F.conv2d(self.up(x), self.kernel, padding=1)
            return F.pixel_shuffle(y, 2) + 0 * F.interpolate(x, y.shape[-1] * 2).mean()

    torch.manual_seed(0)
    module = Module().train()
    found = diagnose(module, normal(2, 4, 20, 20))
    assert module.training
    kinds = {place["operation"]: place for place in found["places"]}
    up, down = kinds["ConvTranspose2d"], kinds["Conv2d + pixel_shuffle"]
    assert (up["name"], up["stride"], up["period"]) == ("up", [3.0, 3.0], [6, 6])
    for place in (up, down):
        assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    assert down["share"] > 0.5
    with torch.no_grad():
        weight, bias = module.kernel, module.up.bias
        for name, value in (
            ("kernel", weight.mean(0, keepdim=True).expand(12, -1, -1, -1)),
        ):
            getattr(module, name).copy_(value.clone())
        clean = phases.clean_transposed(module.up.weight.numpy(), (3, 3))
        module.up.weight.copy_(torch.as_tensor(clean))
        bias.zero_()
    assert diagnose(module, normal(2, 4, 20, 20)).clean


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (lambda x: x, None, "diagnosed with inputs"),
        (7, None, "and this is int"),
        ("nowhere.onnx", None, "nowhere.onnx, and there is no such file or folder"),
        ("denoiser_grey", None, r"folder \(did you mean 'denoiser_gray'\?\)"),
        ({"weight": 1}, None, "is dict; give the module that these weights are of"),
        (lambda x: x, (1, 8, 8, 3), r"that shape, of .* torch\.rand\(1, 8, 8, 3\)"),
        (lambda x: x, 8, "inputs are the numbers 8, and no array"),
        (lambda x: x, [], "diagnosed with inputs"),
    ],
)
def test_what_cannot_be_diagnosed(model, inputs, words):
    with pytest.raises(CaejaxError, match=words):
        caejax.diagnose(model, inputs)


@pytest.mark.parametrize("value", ["-60", None, np.nan, [1, 2]])
def test_a_threshold_is_a_number(value):
    for call in (caejax.diagnose, caejax.measure):
        with pytest.raises(CaejaxError, match=r"threshold_db is .*; give a number of"):
            call(np.zeros((64, 64)), threshold_db=value)


@pytest.mark.parametrize(
    ("function", "cause", "words"),
    [
        (lambda x: x @ x, TypeError, "with channels last"),
        (lambda x: {}["scale"], KeyError, "KeyError: 'scale'$"),
        (lambda x: np.asarray(x), jax.errors.TracerArrayConversionError, "jax.numpy"),
        (lambda x: as_numpy(x, "images"), CaejaxError, "write it with jax.numpy"),
        (lambda x: x if x.sum() > 0 else -x, TypeError, "branches by values"),
        (lambda x: (), None, "returns no array"),
        (nn.Conv(3, (3, 3)), None, "model.apply"),
    ],
)
def test_functions_that_cannot_be_run_are_told_in_one_line(function, cause, words):
    with pytest.raises(CaejaxError, match=words) as told:
        caejax.diagnose(function, np.zeros((1, 8, 8, 2), np.float32))
    assert "\n" not in str(told.value)
    if cause:
        assert isinstance(told.value.__cause__, cause)
        assert "with inputs of shape (1, 8, 8, 2)" in str(told.value)


def test_modules_that_cannot_be_run_are_told_in_one_line(torch):
    """Also those that fail on flat inputs alone."""

    class Picky(torch.nn.ConvTranspose2d):
        def forward(self, x):
            assert not torch.equal(x[..., 1:], x[..., :-1]), "it wants detail"
            return super().forward(x)

    class Silent(torch.nn.Module):
        def forward(self, x):
            return None

    class Broken(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("oops")

    x = torch.randn(1, 16, 16, 8)
    for module, words in (
        (torch.nn.ConvTranspose2d(8, 1, 3, 2), "to have 8 channels.* channels second"),
        (torch.nn.Linear(7, 1), "mat1 and mat2 shapes.* channels second"),
        (Picky(16, 1, 2, 2), "AssertionError: it wants detail"),
        (Broken(), r"inputs of shape \(1, 16, 16, 8\): RuntimeError: oops$"),
        (Silent(), "returns no tensor"),
    ):
        with pytest.raises(CaejaxError, match=words) as told:
            caejax.diagnose(module, x)
        assert "\n" not in str(told.value)
    layer = torch.nn.ConvTranspose2d(16, 1, 2, 2)
    for model, given, words in (
        (Silent(), "x", "an input is str"),
        (layer, x[0], r"inputs of shape \(16, 16, 8\).* without a batch"),
        (layer, np.zeros((1, 16, 8, 8)), r"its weights' type: x.float\(\)"),
        (torch.nn.ConvTranspose2d, x, r"is a class; .* ConvTranspose2d\(\.\.\.\)"),
    ):
        with pytest.raises(CaejaxError, match=words):
            caejax.diagnose(model, given)
    with pytest.raises(CaejaxError, match="module cannot be run"):
        caejax.fix(torch.nn.ConvTranspose2d(8, 1, 3, 2), x)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_inputs_of_one_value_show_what_is_drawn(value, torch):
    """Zeros are what many give as an example."""
    layer = torch.nn.ConvTranspose2d(8, 3, 4, 2, 1)
    assert not caejax.diagnose(layer, torch.full((1, 8, 16, 16), value)).clean


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("fault", ["", "kernel", "bias"])
def test_onnx_files(mode, fault, normal, tmp_path, capsys):
    """Both orders of DepthToSpace, of phases that are alike, and with one that errs."""
    kernel, bias = normal(2, 3, 3, 3), normal(2)
    axis = 0 if mode == "DCR" else 1
    weight = np.stack([kernel] * 4, axis).reshape(8, 3, 3, 3)
    level = np.stack([bias] * 4, axis).reshape(8)
    if fault == "kernel":
        weight[0] += 0.1
    if fault == "bias":
        level[0] += 0.1
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Conv", ["x", "w", "b"], ["c"], {"pads": [1] * 4}),
            ("DepthToSpace", ["c"], ["y"], {"blocksize": 2, "mode": mode}),
        ],
        {"w": weight, "b": level},
    )
    record = tmp_path / "record.json"
    assert command.main([str(path), f"--json={record}"]) == (3 if fault else 0)
    found = json.loads(record.read_text())
    (place,) = found["places"]
    assert place["operation"] == "Conv + DepthToSpace"
    assert (place["gain_spread_db"] > -60) == (fault == "kernel")
    assert (place["bias_spread"] > 1e-6) == (fault == "bias")
    assert ("a bias of its own" in place["verdict"]) == (fault == "bias")
    assert ("clean: on flat inputs" in capsys.readouterr().out) == (not fault)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "holds no operations"), (b"rubbish", "as ONNX")]
)
def test_files_that_cannot_be_read(content, words, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / "model.onnx").write_bytes(content)
    assert command.main([str(tmp_path / "model.onnx")]) == 1
    assert words in capsys.readouterr().err


def test_the_part_behind_a_layer(torch, normal):
    """A dirty layer, and behind it a clean one: in both libraries, from there on."""
    module = torch.nn.Sequential(
        torch.nn.ConvTranspose2d(3, 3, 3, 2, 1, 1),
        torch.nn.ReLU(),
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Conv2d(3, 3, 3, padding=1),
    )
    x = normal(1, 3, 16, 16)
    assert not diagnose(module, x).clean
    found = diagnose(module, x, behind="1")
    assert found.clean
    assert [place["name"] for place in found["places"]] == ["2"]
    assert found["slope_ripple_db"] is None
    assert "probed from 1 on" in str(found)
    with pytest.raises(CaejaxError, match="nothing in the model is called 'one'"):
        diagnose(module, x, behind="one")

    def function(x):
        y = (
            jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
            * jnp.tile(jnp.arange(2.0), 16)[None, None, :, None]
        )
        y = jax.named_call(jnp.sin, name="middle")(y)
        return jnp.repeat(jnp.repeat(y, 2, 1), 2, 2)

    assert not diagnose(function, normal(1, 16, 16, 3)).clean
    assert diagnose(function, normal(1, 16, 16, 3), behind="middle").clean


def test_images_set_the_colours(normal, tmp_path, capsys):
    """A layer that draws of red alone, probed with grey, and from a tensor on."""
    weight = np.ones((3, 1, 2, 2), np.float32)
    weight[0, 0, 0, 0] = 2
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Relu", ["x"], ["features"], {}),
            ("ConvTranspose", ["features", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": weight},
    )
    images = tmp_path / "images"
    images.mkdir()
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 1] = 255
    Image.fromarray(image).save(images / "green.png")
    for more in ([], ["--from=features"]):
        command.main([str(path), f"--images={images}", "--json=-", *more])
        found = json.loads(capsys.readouterr().out)
        seen = found["ripple_db"]
        command.main([str(path), "--json=-", *more])
        assert seen < json.loads(capsys.readouterr().out)["ripple_db"]
    assert command.main([str(path), f"--images={tmp_path / 'none'}"]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_features_of_images_are_averaged_and_not_the_images(normal, tmp_path, capsys):
    """Of black and white behind a threshold at grey, half is left; of grey nothing."""
    weight = np.ones((3, 1, 2, 2), np.float32)
    weight[:, 0, 0, 0] = 2
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Sub", ["x", "half"], ["less"], {}),
            ("Relu", ["less"], ["features"], {}),
            ("ConvTranspose", ["features", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": weight, "half": np.full((1, 3, 1, 1), 0.5, np.float32)},
    )
    for value, side in [(0, 64), (255, 96)]:
        image = np.full((side, 64, 3), value, np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "images" / f"{value}.png")
    words = [str(path), f"--images={tmp_path / 'images'}", "--from=features"]
    assert command.main([*words, "--json=-"]) == 3
    found = json.loads(capsys.readouterr().out)
    # Phases of 2, 1, 1 and 1: a variance of 3/16, of a mean of 5/4.
    assert found["ripple_db"] == pytest.approx(10 * np.log10(3 / 25), abs=0.1)


def test_prediction_and_probe_of_a_linear_chain(normal, tmp_path):
    """In one to three dimensions, strides of two to four, both within 0.1 dB."""
    for dims, stride, kernel in [(1, 4, 5), (2, 3, 4), (3, 2, 3)]:
        path = onnx_file(
            tmp_path / f"{dims}.onnx",
            [
                ("ConvTranspose", ["x", "w"], ["a"], {"strides": [stride] * dims}),
                ("Conv", ["a", "v"], ["y"], {}),
            ],
            {"w": normal(3, 4, *[kernel] * dims), "v": normal(2, 4, *[1] * dims)},
            sides=dims,
        )
        (place,) = diagnose(path)["places"]
        assert place["dimensions"] == dims
        assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)


def test_resizes_of_onnx_files(normal, tmp_path):
    """By scales that are whole and that are not; clean on constants, all of them."""
    for mode, scale in [("nearest", 2), ("linear", 3), ("cubic", 2), ("linear", 1.75)]:
        path = onnx_file(
            tmp_path / "model.onnx",
            [
                ("Resize", ["x", "", "s"], ["r"], {"mode": mode}),
                ("Conv", ["r", "v"], ["y"], {}),
            ],
            {"s": np.array([1, 1, scale, scale], np.float32), "v": normal(2, 3, 3, 3)},
        )
        found = diagnose(path)
        (place,) = found["places"]
        assert (place["stride"], place["kernel"]) == ([scale, scale], [3, 3])
        assert place["operation"] == f"Resize ({mode}) + Conv"
        assert found.clean
        assert ("no integer" in place["verdict"]) == (scale == 1.75)


@pytest.mark.parametrize("apart", [1, 2])
def test_a_blur_cleans_what_lies_before_it(apart, normal, tmp_path):
    """But one whose taps lie as far apart as a stride mixes no phases."""
    dilated = {"group": 2, "dilations": [apart, apart]}
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("ConvTranspose", ["x", "w"], ["t"], {"strides": [2, 2], "pads": [1] * 4}),
            ("Conv", ["t", "blur"], ["y"], dilated),
        ],
        {"w": normal(3, 2, 4, 4), "blur": np.full((2, 1, 2, 2), 0.25, np.float32)},
    )
    (place,) = diagnose(path)["places"]
    assert place["operation"].endswith(" + fixed blur") == (apart == 1)
    assert place["clean"] == (apart == 1)
    for told in ("gain_spread_db", "ripple_db"):
        assert (place[told] < -100) == (apart == 1)


@pytest.mark.parametrize(
    ("taps", "apart", "cure"), [(2, 1, "kernel at least"), (3, 3, "dilation")]
)
def test_phases_without_taps_are_told_what_they_lack(
    taps, apart, cure, normal, tmp_path
):
    settings = {"strides": [3, 3], "dilations": [apart, apart]}
    nodes = [("ConvTranspose", ["x", "w"], ["y"], settings)]
    weights = {"w": normal(3, 2, taps, taps)}
    (place,) = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))["places"]
    assert "some phases have no taps" in place["verdict"]
    assert place["cure"].startswith(f"give it a {cure}")


@pytest.mark.parametrize("swapped", [False, True])
def test_tokens_are_flat_along_their_number(swapped, normal, tmp_path):
    """All patches' pixels alike: clean, and with the axes of patches swapped, too."""
    perm = [0, 5, 1, 4, 2, 3] if swapped else [0, 5, 1, 3, 2, 4]
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("MatMul", ["x", "w"], ["c"], {}),
            ("Add", ["b", "c"], ["d"], {}),
            ("Reshape", ["d", "s"], ["e"], {}),
            ("Transpose", ["e"], ["f"], {"perm": perm}),
            ("Reshape", ["f", "t"], ["y"], {}),
        ],
        {
            "w": np.tile(normal(5, 1, 3), (1, 16, 1)).reshape(5, 48),
            "b": np.tile(normal(3), 16),
            "s": np.array([1, 8, 8, 4, 4, 3]),
            "t": np.array([1, 3, 32, 32]),
        },
        shape=(1, 64, 5),
    )
    found = diagnose(path)
    assert found.clean
    assert found["places"][0]["stride"] == [4, 4]
    (said,) = found["about"]
    assert said.startswith("probed with flat inputs of mean 0 and spread 1")


def test_what_is_documented_of_the_record(normal, tmp_path, monkeypatch):
    """Its fields are all there are, its test runs, its flags are those there are."""
    pages = Path(__file__).parents[1] / "docs" / "howto"
    text = (pages / "diagnose.md").read_text() + (pages / "ci.md").read_text()
    onnx_file(
        tmp_path / "decoder.onnx",
        [("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 2]})],
        {"w": normal(3, 1, 2, 2)},
    )
    monkeypatch.chdir(tmp_path)
    found = diagnose("decoder.onnx")
    rows = dict(re.findall(r"\| (`.*`) \| (.*) \|", text))
    fields = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert set(found) - {"threshold_db"} <= set(fields)
    own = set(re.findall(r"`(\w+)`", rows["`places`"]))
    assert own == set(found["places"][0])
    (code,) = re.findall(r"(import caejax\n\n\ndef test_.*?)```", text, re.S)
    names = {}
    exec(code, names)
    with pytest.raises(AssertionError):
        names["test_no_checkerboards"]()
    (words,) = re.findall(r"- run: caejax diagnose (.*)", text)
    assert command.main(words.split()) == command.FOUND
    assert json.loads((tmp_path / "ripple.json").read_text())["clean"] is False


def test_each_period_is_shared_out_among_places(normal, tmp_path):
    """Two layers of stride and kernel 2: of the last alone is the period 2."""
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("ConvTranspose", ["x", "w"], ["a"], {"strides": [2, 2]}),
            ("ConvTranspose", ["a", "v"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": normal(3, 2, 2, 2), "v": normal(2, 2, 2, 2)},
    )
    found = diagnose(path)
    first, last = (place["share_by_period"] for place in found["places"])
    assert set(first) == set(last) == {"2", "4"}
    assert (first["2"], last["2"]) == pytest.approx((0, 1), abs=1e-6)
    assert first["4"] == pytest.approx(1, abs=1e-6)
    names = [f"layer {place['name']}" for place in found["places"]]
    said = {x.split(", ")[0]: x for x in str(found).splitlines() if "period" in x}
    for period, name in (("2", names[1]), ("4", names[0])):
        db = found["ripple_db_by_period"][period]
        assert said[f"pattern of period {period}"].startswith(
            f"pattern of period {period}, {abs(db):.1f} dB "
            f"{'weaker' if db < 0 else 'stronger'} than the response to the constant "
            f"itself: {name} draws 100 % of it"
        )
    both = ", ".join(place["name"] for place in found["places"])
    assert str(found).count(f"layers {both}: each draws a pattern") == 1


def test_periods_of_each_axis_are_shared_out(normal, tmp_path):
    """Of a stride that differs by axis no axis is left out."""
    nodes = [("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 3]})]
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, {"w": normal(3, 2, 2, 3)}))
    assert found["period"] == [2, 3]
    parts = found["ripple_db_by_period"]
    assert set(parts) == {"2", "6"}
    power = sum(10 ** (db / 10) for db in parts.values())
    assert 10 * np.log10(power) == pytest.approx(found["ripple_db"], abs=1e-6)


def test_a_layer_that_weakens_a_pattern_is_said_to():
    """Two layers that act against each other: more than all goes with one of them."""
    place = {"name": "up", "operation": "resize", "verdict": "", "cure": ""}
    place |= dict.fromkeys(("gain_spread_db", "overlap_db", "bias_spread", "share"))
    place |= {"ripple_db": 1.0, "stride": [2.0], "kernel": [3], "period": [2]}
    record = Diagnosis(
        places=[
            place | {"share_by_period": {"2": -0.25, "4": 0.001}},
            place | {"name": "last", "share_by_period": {"2": 1.2, "4": 0.0}},
        ],
        ripple_db_by_period={"2": 5.2, "4": -30.0},
        about=[],
        verdict="",
    )
    first, second, *_ = [x for x in str(record).splitlines() if x.startswith("pattern")]
    assert first == (
        "pattern of period 2, 5.2 dB stronger than the response to the constant "
        "itself: layer last draws 120 % of it, layer up weakens it"
    )
    assert second.endswith("itself: no layer draws it by itself")
    assert "do not add up" in str(record)


def test_layers_that_draw_a_pattern_together_are_said_to(normal, tmp_path, capsys):
    """Each leaves more when it alone is clean; no part of it is less than nothing."""
    place = {"name": "a", "operation": "ConvTranspose", "verdict": "", "cure": ""}
    place |= dict.fromkeys(("gain_spread_db", "overlap_db", "bias_spread"))
    place |= {"ripple_db": 1.0, "stride": [2.0], "kernel": [3], "period": [2]}
    record = Diagnosis(
        places=[
            place | {"share": -0.4, "share_by_period": {"2": -0.4, "4": 0.3}},
            place | {"name": "b", "share": 0.2, "share_by_period": {"2": -3, "4": 1}},
        ],
        ripple_db_by_period={"2": -8.0, "4": -3.0},
        about=[],
        verdict="",
    )
    text = str(record)
    assert "layer a and layer b draw it together: each weakens what others draw" in text
    assert "layer b draws 100 % of it, layer a 30 %" in text
    assert "-" not in [line.split()[-1] for line in text.splitlines()[2:5]]
    assert [line.split()[-1] for line in text.splitlines()[3:5]] == ["weakens", "%"]


def test_shares_tell_which_layer_where_each_weakens_the_whole():
    """Then they are those of the strongest period; layers of one name are numbered."""
    place = {"name": "up", "operation": "resize", "verdict": "clean", "cure": ""}
    place |= dict.fromkeys(("gain_spread_db", "overlap_db", "bias_spread"))
    place |= {"ripple_db": 1.0, "stride": [2.0], "kernel": [3], "period": [2]}
    record = Diagnosis(
        places=[
            place | {"share": -0.4, "share_by_period": {"2": 0.4, "4": -0.3}},
            place | {"share": -0.2, "share_by_period": {"2": -3, "4": 1.0}},
        ],
        ripple_db_by_period={"2": -30.0, "4": -3.0},
        about=[],
        verdict="",
    )
    text = to_text(record)
    first, second = text.splitlines()[3:5]
    assert first.startswith("up (1) ")
    assert first.endswith("weakens")
    assert second.startswith("up (2) ")
    assert second.split()[-2:] == ["100", "%"]
    assert "share: here of period 4, the strongest" in text
    assert "layers up (1), up (2): clean" in text
    assert "layer up (2) draws 100 % of it" in text
    record["places"][0]["share"] = -0.001
    assert to_text(record).splitlines()[3].split()[-2:] == ["0", "%"]


def test_the_verdict_is_first_and_fits_a_terminal(normal, tmp_path):
    nodes = [
        ("ConvTranspose", ["x", "w"], ["a"], {"strides": [2, 2]}),
        ("ConvTranspose", ["a", "v"], ["y"], {"strides": [2, 2]}),
    ]
    weights = {"w": normal(3, 3, 2, 2), "v": normal(3, 3, 3, 3)}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))
    assert str(found).splitlines()[0] == found["verdict"]
    for width in 60, 64, 80:
        lines = to_text(found, width).splitlines()
        assert max(map(len, lines)) <= width
        table = next(n for n, line in enumerate(lines) if line.startswith("place"))
        assert "draws dB" in lines[table]
        assert lines[table + 1].startswith("a ")


def test_what_is_neither_measured_nor_read_is_not_called_clean(torch, normal):
    """Pixels of an unknown layer in an image that is too small to repeat."""

    class Module(torch.nn.Module):
        def forward(self, x):
            y, where = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
            return torch.nn.functional.max_unpool2d(y, where, 2)

    found = diagnose(Module(), normal(1, 3, 4, 4))
    assert found["ripple_db"] is None
    assert not found.clean
    assert found["verdict"].startswith("not known to be clean: what max_unpool2d draws")
    assert "give larger inputs" in found["places"][0]["cure"]
    nearest = torch.nn.Upsample(scale_factor=2)
    found = diagnose(nearest, normal(1, 3, 2, 2))
    assert found.clean
    assert "it only resizes" in found["verdict"]


def test_what_does_not_reach_the_output_need_not_be_mended(torch, normal):
    up = torch.nn.ConvTranspose2d(3, 3, 3, 2, 1, output_padding=1)
    found = diagnose(
        torch.nn.Sequential(up, torch.nn.AvgPool2d(2)), normal(1, 3, 16, 16)
    )
    (place,) = found["places"]
    assert found.clean
    assert not place["clean"]
    assert "period" not in found["verdict"]  # nothing of it repeats
    (said,) = (line for line in found["about"] if "need not be mended" in line)
    assert said.startswith("the pattern of 0 does not reach the output")


def test_unequal_phases_of_equal_kernels_are_not_blamed_on_biases(normal, tmp_path):
    """What differs by phase is a gate behind the layer, which has no biases."""
    weights = {
        "w": normal(3, 3, 1, 1).repeat(4, 0),
        "g": np.tile(np.float32([1, 0, 0, 1]), 3).reshape(12, 1, 1),
    }
    nodes = [
        ("Conv", ["x", "w"], ["a"], {}),
        ("Max", ["a", "g"], ["b"], {}),
        ("DepthToSpace", ["b"], ["y"], {"blocksize": 2, "mode": "CRD"}),
    ]
    (place,) = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))["places"]
    assert not place["clean"]
    assert "what lies behind its kernel differs by phase" in place["verdict"]


def test_long_names_fit_a_terminal_too(normal, key):
    """Of the columns the operation is left out at last, and each has its line."""
    layer = Upsample(3, "nearest_k3", name="a_name_of_thirty_letters_so_long")
    x = normal(1, 12, 12, 4)
    variables = layer.init(key, x)
    found = diagnose(lambda x: jax.nn.relu(layer.apply(variables, x)), x)
    text = to_text(found, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "draws: " in text
    assert "overlap: " not in text
    assert "overlap: " in to_text(found, 200)
    assert "left out here: operation, stride, kernel, " in text
    assert "left out" not in to_text(found, 200)


def test_behind_the_result_there_is_nothing(normal, tmp_path, capsys):
    nodes = [
        ("ConvTranspose", ["x", "w"], ["a"], {"strides": [2, 2]}),
        ("Relu", ["a"], ["b"], {}),
        ("Sigmoid", ["b"], ["y"], {}),
    ]
    file = onnx_file(tmp_path / "m.onnx", nodes, {"w": normal(3, 3, 2, 2)})
    assert command.main([str(file), "--from=y"]) == 1
    assert "y is the model's result, behind which" in capsys.readouterr().err
    assert command.main([str(file), "--from=b"]) == 0
    assert "clean: behind b is none that enlarges" in capsys.readouterr().out
    assert command.main([str(file), "--from=nosuch"]) == 1
    assert "it has x, a, b, y" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["decoder.pt", "decoder.pth", "model.safetensors"])
def test_files_of_pytorch_are_told_from_damaged_ones(name, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / name).write_bytes(b"PK weights")
    assert command.main([str(tmp_path / name)]) == 1
    assert "torch.onnx.export" in capsys.readouterr().err


def test_codes_of_a_codebook_are_looked_up(torch, normal):
    """Distances of rows to codes are no numbers for each channel."""

    class Quantised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.codes = torch.nn.Parameter(torch.randn(7, 3))
            self.up = torch.nn.ConvTranspose2d(3, 2, 2, 2)

        def forward(self, x):
            rows = x.permute(0, 2, 3, 1).flatten(0, 2)
            nearest = torch.cdist(rows, self.codes).argmin(1)
            seen = torch.nn.functional.embedding(nearest.view(1, -1), self.codes)
            return self.up(seen.view(1, *x.shape[2:], 3).permute(0, 3, 1, 2))

    torch.manual_seed(0)
    module, x = Quantised(), torch.from_numpy(normal(1, 3, 16, 16))
    (place,) = diagnose(module, x)["places"]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)


def test_what_only_looks_as_if_it_enlarged(torch, normal):
    """Gates, matrices of attention, means, padding, a pyramid, and weights."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)
            self.keys = torch.nn.Conv2d(4, 12, 1)
            self.positions = torch.nn.Parameter(torch.ones(1, 4, 12, 12))

        def forward(self, x):
            x = x + torch.nn.functional.interpolate(self.positions, x.shape[2:])
            x = x + self.up(self.positions)
            keys = self.keys(x).reshape(1, 1, 12, -1).permute(0, 1, 3, 2)
            x = x + 0 * torch.softmax(keys, -2).mean()
            gate = x.mean((2, 3), keepdim=True).sigmoid()
            tokens = x.flatten(2)[:, :, :8]  # (B, 4, 8), and of them (B, 8, 8)
            x = x * torch.bmm(tokens.transpose(1, 2), tokens).softmax(-1).mean()
            wide = torch.nn.functional.pad(x, (0, 24, 0, 24), mode="replicate")
            y = self.up(gate * wide)
            for bins in (1, 2):
                part = torch.nn.functional.adaptive_avg_pool2d(y, bins)
                y = y + torch.nn.functional.interpolate(part, y.shape[2:])
            return y

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 4, 24, 24))
    deep = [p for p in found["places"] if p["operation"] == "ConvTranspose2d"]
    others = [p for p in found["places"] if p not in deep]
    assert [p["stride"] for p in others] == [[48.0, 48.0]]
    assert found["period"] == [2, 2]
    assert deep[0]["share"] == pytest.approx(1, abs=1e-3)
    assert "too large to repeat" in " ".join(found["about"])


def test_results_without_channels(torch, normal):
    """Sound has none often, and spectrograms have theirs last."""

    class Vocoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose1d(6, 1, 4, 2, 1)

        def forward(self, x):  # (B, time, channels)
            return self.up(((x - 0.5) * 2).transpose(1, 2)).squeeze(1).tanh()

    torch.manual_seed(0)
    found = diagnose(Vocoder(), normal(1, 40, 6))
    (place,) = found["places"]
    assert found["period"] == [2]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    assert place["share"] == pytest.approx(1)
    assert not any("stay flat" in x for x in found["about"])


def test_results_that_are_written_in_parts(torch, normal):
    class Frames(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)

        def forward(self, x):
            out = torch.zeros(1, 4, 48, 48)
            out[:, :2] = self.up(x)
            out[:, 2:] = self.up(-x)
            return out

    torch.manual_seed(0)
    found = diagnose(Frames(), normal(1, 4, 24, 24))
    assert [place["period"] for place in found["places"]] == [[2, 2], [2, 2]]
    assert sum(place["share"] for place in found["places"]) == pytest.approx(1)


def test_onnx_files_of_half_precision(normal, tmp_path):
    """The changed kernel has the file's own type."""
    onnx = pytest.importorskip("onnx")
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Cast", ["x"], ["h"], {"to": onnx.TensorProto.FLOAT16}),
            ("ConvTranspose", ["h", "w"], ["t"], {"strides": [2, 2]}),
            ("Conv", ["t", "v"], ["c"], {}),
            ("DepthToSpace", ["c"], ["d"], {"blocksize": 2}),
            ("Cast", ["d"], ["y"], {"to": onnx.TensorProto.FLOAT}),
        ],
        {
            "w": normal(3, 2, 3, 3).astype(np.float16),
            "v": normal(4, 2, 1, 1).astype(np.float16),
        },
    )
    found = diagnose(path)
    assert [place["period"] for place in found["places"]] == [[4, 4], [2, 2]]
    assert all(place["share"] is not None for place in found["places"])


def test_onnx_kernels_that_are_inputs_and_open_channels(normal, tmp_path):
    """Channels are told by a convolution behind pointwise nodes, too."""
    onnx = pytest.importorskip("onnx")
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Relu", ["x"], ["r"], {}),
            ("ConvTranspose", ["r", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": normal(3, 2, 3, 3)},
        channels="c",
    )
    assert not diagnose(path).clean
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    del model.graph.initializer[:]
    given = onnx.helper.make_tensor_value_info("w", 1, [3, 2, 3, 3])
    model.graph.input.append(given)
    onnx.save(model, path)
    (place,) = diagnose(path)["places"]
    assert (place["operation"], place["stride"]) == ("ConvTranspose", [2, 2])


def test_results_that_are_not_finite_or_depend_on_nothing(normal, tmp_path, capsys):
    kernel = np.full((3, 2, 3, 3), np.nan, np.float32)
    node = ("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 2]})
    path = onnx_file(tmp_path / "model.onnx", [node], {"w": kernel})
    assert command.main([str(path)]) == 1
    assert "is not finite; look for NaN" in capsys.readouterr().err
    node = ("ConvTranspose", ["z", "w"], ["y"], {"strides": [2, 2]})
    weights = {"w": normal(3, 2, 3, 3), "z": normal(1, 3, 8, 8)}
    path = onnx_file(tmp_path / "model.onnx", [node], weights)
    assert command.main([str(path)]) == 1
    assert "no result of the ONNX file depends on its inputs" in capsys.readouterr().err


def test_of_several_results_the_image_is_looked_at(torch, normal, tmp_path):
    """And not the code, or the class, that comes before it."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 3, 3, 2)

        def forward(self, x):
            return {"code": x.mean((2, 3)), "image": self.up(x)}

    torch.manual_seed(0)
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("ReduceMean", ["x"], ["z"], {"axes": [2, 3], "keepdims": 0}),
            ("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": normal(3, 3, 3, 3)},
    )
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    image = model.graph.output.pop()
    code = onnx.helper.make_tensor_value_info("z", 1, None)
    model.graph.output.extend([code, image])
    onnx.save(model, path)
    for found in (diagnose(Module(), normal(1, 3, 16, 16)), diagnose(path)):
        (place,) = found["places"]
        assert found["period"] == [2, 2]
        assert place["share"] == pytest.approx(1)


def test_a_place_behind_another_result_counts(torch, normal, tmp_path):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 3, 4, 2, 1)

        def forward(self, x):
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3), self.up(x)

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 3, 16, 16))
    assert not found.clean
    assert "another of its results than the first, by up" in found["verdict"]


@pytest.mark.parametrize("kind", ["uint8", "bfloat16"])
def test_images_of_bytes_and_of_short_floats_are_made_flat(kind, normal):
    def function(x):
        return jnp.repeat(jnp.repeat(x.astype(jnp.float32), 2, 1), 2, 2)

    x = jnp.asarray(128 + 20 * normal(1, 16, 16, 3)).astype(kind)
    found = diagnose(function, x)
    assert found["ripple_db"] == -200
    assert (found["slope_ripple_db"] is None) == (kind == "uint8")


def test_of_several_results_of_a_function_the_image_is_looked_at():
    def function(x):
        large = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
        return {"loss": x.mean(), "image": large, "code": x.mean((1, 2))}

    found = diagnose(function, np.ones((1, 16, 16, 3), np.float32))
    assert found["period"] == [2, 2]
    assert diagnose(lambda x: x.mean(), np.ones((1, 16, 16, 3), np.float32)).clean


def test_a_prompt_shows_the_table_and_names_are_told(torch, normal):
    model, x = torch.nn.Upsample(scale_factor=2), normal(1, 3, 12, 12)
    found = diagnose(model, x)
    assert repr(found) == str(found)
    assert "the model draws nothing at period 2x2 (" in found["verdict"]
    with pytest.raises(TypeError, match="did you mean 'threshold_db'"):
        diagnose(model, x, threshold=3)
