"""What files of detectors, readers of text and quantised models look like."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file
from jax import lax
from PIL import Image

from caejax.diagnose import diagnose, read_inputs
from caejax.diagnose.__main__ import main
from caejax.diagnose.onnx_file import SIZE
from caejax.errors import CaejaxError
from caejax.fix import fix_file

CONV = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
TWICE = {"strides": [2, 2]}
SCALE = {"scale": np.float32([1, 1, 2, 2])}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}


def resize(given, made):
    return "Resize", [given, "", "scale"], [made], NEAREST


def test_axes_that_are_open_as_less_than_nothing(normal, tmp_path):
    """As Paddle's exporter writes them."""
    nodes = [("ConvTranspose", ["x", "w"], ["y"], TWICE)]
    file = onnx_file(
        tmp_path / "m.onnx", nodes, {"w": normal(3, 2, 2, 2)}, shape=[-1, 3, -1, -1]
    )
    found = diagnose(file)
    assert found["period"] == [2, 2]
    assert not found.clean


@pytest.mark.parametrize("version", [11, 13])
def test_gates_of_means_over_space_in_old_files(version, normal, tmp_path):
    """Features are weighed by numbers made of their own means."""
    nodes = [
        ("ReduceMean", ["x"], ["means"], {"axes": [2, 3], "keepdims": 1}),
        ("Conv", ["means", "v"], ["scores"], {}),
        ("Sigmoid", ["scores"], ["gates"], {}),
        ("Mul", ["x", "gates"], ["weighed"], {}),
        ("ConvTranspose", ["weighed", "w"], ["y"], TWICE),
    ]
    weights = {"v": normal(3, 3, 1, 1), "w": normal(3, 2, 2, 2)}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights, version=version))
    (place,) = found["places"]
    assert place["ripple_db"] == pytest.approx(place["predicted_db"], abs=0.1)
    assert place["share"] == pytest.approx(1, abs=1e-6)


def detector(normal, tmp_path, enlarging):
    """Boxes of two scales in one list, as YOLO's heads give them."""
    flat = np.array([0, 8, -1])
    nodes = [
        ("Conv", ["x", "w1"], ["small"], {**CONV, "strides": [2, 2]}),
        enlarging,
        ("Conv", ["large", "w2"], ["fine"], CONV),
        ("Reshape", ["small", "flat"], ["a"], {}),
        ("Reshape", ["fine", "flat"], ["b"], {}),
        ("Concat", ["a", "b"], ["boxes"], {"axis": 2}),
        ("Sigmoid", ["boxes"], ["y"], {}),
    ]
    weights = {"w1": normal(8, 3, 3, 3), "w2": normal(8, 8, 3, 3), "flat": flat}
    return onnx_file(
        tmp_path / "m.onnx", nodes, weights | SCALE | {"w": normal(8, 8, 2, 2)}
    )


def test_detectors_are_measured_at_their_places(normal, tmp_path, capsys):
    file = detector(normal, tmp_path, resize("small", "large"))
    found = diagnose(file)
    (place,) = found["places"]
    assert (place["operation"][:6], place["stride"]) == ("Resize", [2, 2])
    assert place["ripple_db"] < -100
    assert found.clean
    assert any("as in one that lists detections" in x for x in found["about"])
    assert main([str(file)]) == 0
    assert "clean: on flat inputs no place draws more" in capsys.readouterr().out


def test_detectors_with_a_place_that_draws_are_not_clean(normal, tmp_path, capsys):
    file = detector(
        normal, tmp_path, ("ConvTranspose", ["small", "w"], ["large"], TWICE)
    )
    found = diagnose(file)
    (place,) = found["places"]
    assert found["ripple_db"] is None
    assert place["ripple_db"] == pytest.approx(place["predicted_db"], abs=0.1)
    assert place["ripple_db"] > -60
    assert main([str(file)]) == 3
    assert f"in the result of {place['name']}" in capsys.readouterr().out


def test_recurrent_layers_make_no_pixels(normal, tmp_path):
    """Columns are read one after the other, both ways, as text is."""
    nodes = [
        ("Conv", ["x", "w"], ["seen"], {**CONV, "strides": [2, 2]}),
        ("Transpose", ["seen"], ["columns"], {"perm": [3, 0, 1, 2]}),
        ("Reshape", ["columns", "flat"], ["read"], {}),
        (
            "LSTM",
            ["read", "in", "of"],
            ["both"],
            {"hidden_size": 6, "direction": "bidirectional"},
        ),
        ("Transpose", ["both"], ["beside"], {"perm": [0, 2, 1, 3]}),
        ("Reshape", ["beside", "joined"], ["y"], {}),
    ]
    weights = {
        "w": normal(4, 3, 3, 3),
        "flat": np.array([16, 1, 64]),
        "in": normal(2, 24, 64),
        "of": normal(2, 24, 6),
        "joined": np.array([16, 1, 12]),
    }
    file = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=[1, 3, SIZE, SIZE])
    found = diagnose(file)
    assert found["places"] == []
    assert found.clean


def quantised(name):
    """A tensor put into bytes and back."""
    given = [f"{name}.fine", "step", "zero"]
    return [
        ("QuantizeLinear", given, [f"{name}.bytes"], {}),
        ("DequantizeLinear", [f"{name}.bytes", *given[1:]], [name], {}),
    ]


BYTES = {"step": np.float32(0.05), "zero": np.uint8(128)}


def test_quantised_features_are_followed(normal, tmp_path):
    nodes = [
        ("Identity", ["x"], ["a.fine"], {}),
        *quantised("a"),
        ("ConvTranspose", ["a", "w"], ["b.fine"], TWICE),
        *quantised("b"),
        ("Relu", ["b"], ["y"], {}),
    ]
    weights = {"w": 0.3 * normal(3, 2, 2, 2), **BYTES}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))
    (place,) = found["places"]
    assert place["ripple_db"] == pytest.approx(place["predicted_db"], abs=0.5)
    assert place["share"] == pytest.approx(1, abs=0.02)
    assert not found.clean


def test_shuffles_of_bytes_are_made_clean(normal, tmp_path):
    nodes = [
        ("Conv", ["x", "w"], ["a.fine"], CONV),
        *quantised("a")[:1],
        ("DepthToSpace", ["a.bytes"], ["pixels"], {"blocksize": 2}),
        ("DequantizeLinear", ["pixels", "step", "zero"], ["y"], {}),
    ]
    weights = {"w": 0.1 * normal(8, 3, 3, 3), **BYTES}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))
    (place,) = found["places"]
    assert place["stride"] == [2, 2]
    assert place["share"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_what_a_map_of_classes_is_chosen_from(keepdims, normal, tmp_path):
    nodes = [("ConvTranspose", ["x", "w"], ["scores"], TWICE)]
    choice = [
        ("ArgMax", ["scores"], ["class"], {"axis": 1, "keepdims": keepdims}),
        ("Cast", ["class"], ["y"], {"to": 1}),
    ]
    weights = {"w": normal(3, 5, 2, 2)}
    plain = onnx_file(tmp_path / "a.onnx", [nodes[0][:2] + (["y"], TWICE)], weights)
    found = diagnose(onnx_file(tmp_path / "b.onnx", [*nodes, *choice], weights))
    assert found["ripple_db"] == diagnose(plain)["ripple_db"]
    assert any("probed up to class (ArgMax)" in x for x in found["about"])


def test_a_choice_in_pytorch(torch, normal):
    class Segmenting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 5, 2, 2)

        def forward(self, x):
            return self.up(x).argmax(1)

    model, x = Segmenting(), torch.from_numpy(normal(1, 3, 16, 16))
    assert diagnose(model, x)["ripple_db"] == diagnose(model.up, x)["ripple_db"]


def test_what_an_activation_at_its_bound_hides(normal, tmp_path):
    nodes = [
        ("ConvTranspose", ["x", "w"], ["a"], TWICE),
        ("Sub", ["a", "much"], ["logits"], {}),
        ("Sigmoid", ["logits"], ["y"], {}),
    ]
    weights = {"w": normal(3, 1, 2, 2), "much": np.float32(200)}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))
    (place,) = found["places"]
    assert place["share"] == pytest.approx(1, abs=1e-3)
    assert not found.clean
    assert any("same for all flat inputs" in x for x in found["about"])


def test_what_both_bounds_of_a_clip_hide(normal, tmp_path):
    """Black or white, whatever flat input there is, in the numbers of bytes at last."""
    nodes = [
        ("ConvTranspose", ["x", "w"], ["a"], TWICE),
        ("Mul", ["a", "much"], ["b"], {}),
        ("Clip", ["b", "black", "white"], ["c"], {}),
        ("Mul", ["c", "bytes"], ["y"], {}),
    ]
    w, much = np.float32([[[[0.5, 1], [1, 1]]]]), np.float32(1e4)
    weights = {"w": w, "much": much, "black": np.float32(0), "white": np.float32(1)}
    weights["bytes"] = np.float32(255)
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, channels=1)
    x = normal(1, 1, 32, 32)
    x += np.float32(-0.25) - x.mean()  # one of the flat inputs is above 0, two below

    def in_jax(x):
        kernel = w.transpose(2, 3, 0, 1)
        return jnp.clip(much * lax.conv_transpose(x, kernel, (2, 2), "VALID"), 0, 1)

    for found in (diagnose(path, x), diagnose(in_jax, np.moveaxis(x, 1, -1))):
        assert not found.clean
        # Gains of 1/2, 1, 1 and 1: a variance of 3/64, of a mean of 7/8.
        assert found["ripple_db"] == pytest.approx(10 * np.log10(3 / 49), abs=0.1)
        assert any("one of two bounds" in x for x in found["about"])


def test_octaves_beside_each_other_are_no_enlargement(normal, tmp_path):
    """Maps of several scales, one above the other."""
    smaller = {**CONV, "strides": [2, 2]}
    nodes = [("Conv", ["x", f"w{n}"], [f"a{n}"], smaller) for n in range(4)]
    nodes.append(("Concat", [f"a{n}" for n in range(4)], ["y"], {"axis": 2}))
    weights = {f"w{n}": normal(6, 3, 3, 3) for n in range(4)}
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))
    assert found["places"] == []
    assert found.clean


def test_axes_that_are_summed_over_are_no_small_images(normal, tmp_path):
    """As of a spectrum whose real and imaginary parts lie beside each other."""
    nodes = [
        ("Conv", ["x", "w1"], ["both"], {**CONV, "strides": [1, 16]}),
        ("ReduceSum", ["both", "last"], ["power"], {"keepdims": 0}),
        ("Unsqueeze", ["power", "last"], ["image"], {}),
        ("Transpose", ["image"], ["turned"], {"perm": [0, 3, 2, 1]}),
        ("Conv", ["turned", "w2"], ["y"], CONV),
    ]
    weights = {"last": np.array([3]), "w1": normal(64, 3, 3, 3)}
    weights |= {"w2": normal(2, 1, 3, 3)}
    found = diagnose(
        onnx_file(tmp_path / "m.onnx", nodes, weights, shape=[1, 3, SIZE, SIZE])
    )
    assert found["places"] == []


TILES = {
    "numbers": np.array([1, 8, 8, 2, 2, 3]),
    "image": np.array([16, 16]),
    "whole": np.array([1, 3, 16, 16]),
    "block": np.array([2, 2]),
    "wide": np.array([4, 4]),
}


@pytest.mark.parametrize(
    ("made", "nodes"),
    [
        (
            12,
            [
                ("Reshape", ["a", "numbers"], ["b"], {}),
                ("Einsum", ["b"], ["c"], {"equation": "nhwpqc->nchpwq"}),
                ("Reshape", ["c", "whole"], ["y"], {}),
            ],
        ),
        (
            12,
            [
                ("Transpose", ["a"], ["b"], {"perm": [0, 2, 1]}),
                ("Col2Im", ["b", "image", "block"], ["y"], TWICE),
            ],
        ),
        (
            48,
            [
                ("Transpose", ["a"], ["b"], {"perm": [0, 2, 1]}),
                (
                    "Col2Im",
                    ["b", "image", "wide"],
                    ["y"],
                    {**TWICE, "pads": [1, 1, 1, 1]},
                ),
            ],
        ),
    ],
)
def test_tokens_become_pixels(made, nodes, normal, tmp_path):
    nodes = [("MatMul", ["x", "w"], ["a"], {}), *nodes]
    weights = {"w": normal(6, made), **TILES}
    path = tmp_path / "m.onnx"
    found = diagnose(onnx_file(path, nodes, weights, shape=[1, 64, 6], version=18))
    (place,) = found["places"]
    assert place["stride"] == [2, 2]
    assert found["period"] == [2, 2]
    assert not found.clean


def test_channels_that_lie_last(torch, normal, tmp_path):
    """Behind what treats all alike; and what a model gives, too."""
    nodes = [
        ("Div", ["x", "most"], ["a"], {}),
        ("Transpose", ["a"], ["b"], {"perm": [0, 3, 1, 2]}),
        resize("b", "c"),
        ("Transpose", ["c"], ["d"], {"perm": [0, 2, 3, 1]}),
        ("Relu", ["d"], ["y"], {}),
    ]
    weights = {"most": np.float32(255), **SCALE}
    shape = ["b", "h", "w", 3]
    files = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=shape)

    class Module(torch.nn.Module):
        def forward(self, x):
            large = torch.nn.functional.interpolate(x.movedim(-1, 1), scale_factor=2)
            return large.movedim(1, -1)

    for found in diagnose(files), diagnose(Module(), normal(1, 16, 16, 3)):
        assert found["period"] == [2, 2]
        assert found["ripple_db"] == -200


def test_a_shuffle_in_front_of_a_result_without_channels(normal, tmp_path):
    nodes = [
        ("Conv", ["x", "w"], ["a"], CONV),
        ("DepthToSpace", ["a"], ["b"], {"blocksize": 2}),
        ("Squeeze", ["b", "one"], ["y"], {}),
    ]
    weights = {"w": normal(4, 3, 3, 3), "one": np.array([1])}
    (place,) = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights))["places"]
    assert place["share"] == pytest.approx(1)


def test_fewer_inputs_than_a_file_takes(normal, tmp_path):
    nodes = [("ConvTranspose", ["x", "w"], ["y"], TWICE)]
    path = onnx_file(tmp_path / "m.onnx", nodes, {"w": normal(3, 3, 2, 2)})
    with pytest.raises(CaejaxError, match="takes 1 input"):
        diagnose(path, [normal(1, 3, 16, 16)] * 2)


@pytest.mark.parametrize(
    ("kind", "number", "grey"), [("uint8", 2, 51), ("float16", 10, 0.2)]
)
def test_images_are_of_the_numbers_that_a_file_takes(
    kind, number, grey, normal, tmp_path
):
    nodes = [
        ("Cast", ["x"], ["a"], {"to": 1}),
        ("ConvTranspose", ["a", "w"], ["y"], TWICE),
    ]
    weights = {"w": normal(3, 3, 3, 3)}
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, kind=number)
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (32, 32), (51, 51, 51)).save(images / "grey.png")
    (image,) = read_inputs(path, images)
    assert image.dtype == kind
    np.testing.assert_allclose(image, grey, rtol=1e-3)
    found = diagnose(path, image)
    assert found["places"][0]["predicted_db"] == pytest.approx(
        found["places"][0]["ripple_db"], abs=0.1
    )
    moved = fix_file(path, tmp_path / "fixed.onnx", images=images)["images"]
    assert moved["count"] == 1


def test_bytes_are_probed_with_all_that_there_are(normal, tmp_path):
    """Random flat inputs, in a layout that has channels last."""
    nodes = [
        ("Cast", ["x"], ["a"], {"to": 1}),
        ("Transpose", ["a"], ["b"], {"perm": [0, 3, 1, 2]}),
        ("Sub", ["b", "much"], ["c"], {}),
        ("Relu", ["c"], ["d"], {}),
        ("ConvTranspose", ["d", "w"], ["y"], TWICE),
    ]
    weights = {"w": normal(3, 2, 2, 2), "much": np.float32(100)}
    shape = ["b", "h", "w", 3]
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=shape, kind=2)
    found = diagnose(path)
    assert found["ripple_db"] > -30
    assert any("bytes from 0 to 255" in x for x in found["about"])


@pytest.mark.parametrize(
    ("shape", "words"), [(None, "has no shape"), (["n"], "no axis of channels")]
)
def test_inputs_that_no_image_can_be(shape, words, normal, tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    nodes = [("Relu", ["x"], ["y"], {})]
    path = onnx_file(tmp_path / "m.onnx", nodes, {}, shape=shape)
    if shape is None:
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.ClearField("shape")
        onnx.save(model, path)
    assert main([str(path), f"--images={tmp_path}"]) == 1
    assert words in capsys.readouterr().err


def test_models_that_need_more_than_a_few_pixels(normal, tmp_path):
    """Of open sizes the least is taken that can be run, in mending, too."""
    nodes = [
        ("Conv", ["x", "k"], ["a"], {}),
        ("ConvTranspose", ["a", "w"], ["y"], TWICE),
    ]
    weights = {"k": normal(3, 3, 33, 33), "w": normal(3, 2, 3, 3)}
    path = onnx_file(tmp_path / "m.onnx", nodes, weights)
    assert diagnose(path)["ripple_db"] > -30
    assert fix_file(path, tmp_path / "fixed.onnx")["ripple_after_db"] < -100
    small = onnx_file(tmp_path / "s.onnx", nodes, weights, shape=[1, 3, 32, 32])
    with pytest.raises(CaejaxError, match="cannot run the ONNX file"):
        diagnose(small)
