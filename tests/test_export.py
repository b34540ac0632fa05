"""Trained models as files, run by programs that know nothing of caejax."""

import json

import jax
import numpy as np
import onnxruntime
import pytest
from helpers.random_models import random_model

import caejax
from caejax.__main__ import main
from caejax.config import to_json
from caejax.errors import CaejaxError
from caejax.export import export
from caejax.files import safetensors
from caejax.inference import trained
from caejax.models.kinds import UPSAMPLING
from caejax.models.named import named_arrays
from caejax.models.torch_kernels import to_torch

UNET = {
    "downsampling": "stride_k4",
    "skips": "add",
    "residual": True,
    "refine": (1, 0),
    "encoder_refine": (1, 0),
    "output_activation": "linear",
    "noise_map": True,
}
POOLED = {"downsampling": "blur_pool", "bottleneck": "pooled", "skips": "concat"}


def inputs_of(model, size):
    """Images, the level as a noise map takes it or none, and what caejax makes."""
    rng = np.random.default_rng(1)
    images = np.float32(rng.uniform(size=(2, *size, 1)))
    levels, seen = (), images
    if model.model.noise_map:
        levels = (np.array([0.1, 0.3], np.float32),)
        maps = np.broadcast_to(levels[0].reshape(2, 1, 1, 1), images.shape)
        seen = np.concatenate([images, maps], axis=-1)
    return images, levels, np.asarray(trained.reconstruct(model)(seen))


def assert_onnx_is_the_same(model, size, file):
    export(model, "onnx", file)
    images, levels, wanted = inputs_of(model, size)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = {"image": images.transpose(0, 3, 1, 2)}
    given |= dict.fromkeys(["level"] * len(levels), *levels)
    (made,) = session.run(None, given)
    np.testing.assert_allclose(made.transpose(0, 2, 3, 1), wanted, atol=1e-5)
    assert np.ptp(wanted) > 0.01


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_onnx_has_every_upsampling(kind, tmp_path):
    # The last stage is enough: the first one is of another kind.
    model = random_model(upsampling=("nearest_k3", kind))
    assert_onnx_is_the_same(model, (13, 10), tmp_path / "model.onnx")


@pytest.mark.parametrize("fields", [UNET, POOLED, {"downsampling": "stride_k3"}])
def test_onnx_has_every_encoder(fields, tmp_path):
    assert_onnx_is_the_same(random_model(**fields), (13, 10), tmp_path / "model.onnx")


@pytest.mark.parametrize("size", [(13, 10), (1, 2), (16, 16)])
def test_models_of_crops_fill_images_up_in_every_format(size, tmp_path):
    model = random_model(crop=16, **UNET)
    assert_onnx_is_the_same(model, size, tmp_path / "model.onnx")
    assert "any size" in export(model, "stablehlo", tmp_path / "model.stablehlo")
    loaded = jax.export.deserialize((tmp_path / "model.stablehlo").read_bytes())
    images, levels, wanted = inputs_of(model, size)
    np.testing.assert_allclose(loaded.call(images, *levels), wanted, atol=1e-5)


@pytest.mark.parametrize("encoder", ["dense", "tied_dense", "layers"])
def test_onnx_has_models_of_one_size(encoder, tmp_path):
    layers = {
        "encoder_layers": ("conv3 4 relu", "pool", "conv4 3 valid", "pool valid"),
        "decoder_layers": ("nearest 16/5", "deconv_k4 3 valid", "conv3 1 valid"),
    }
    fields = layers if encoder == "layers" else {}
    model = random_model(encoder, **fields)
    assert_onnx_is_the_same(model, (16, 16), tmp_path / "model.onnx")


def test_onnx_refuses_what_it_would_round_otherwise(tmp_path):
    with pytest.raises(CaejaxError, match="bfloat16 are not written as ONNX"):
        export(random_model(dtype="bfloat16"), "onnx", tmp_path / "new" / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        (UNET, (13, 10)),
        (POOLED, (13, 10)),
        ({"upsampling": "dysample"}, (16, 16)),  # of its own size alone
        ({"encoder": "dense"}, (16, 16)),
    ],
)
def test_stablehlo_runs_without_caejax(fields, size, tmp_path):
    model, file = random_model(**fields), tmp_path / "model.stablehlo"
    assert ("any size" in export(model, "stablehlo", file)) == (size != (16, 16))
    loaded = jax.export.deserialize(file.read_bytes())
    assert loaded.platforms == ("cpu", "cuda", "tpu")
    images, levels, wanted = inputs_of(model, size)
    made = loaded.call(images, *levels)
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_safetensors_come_back_bit_for_bit(tmp_path):
    model, file = random_model(**UNET), tmp_path / "model.safetensors"
    export(model, "safetensors", file)
    back = caejax.load(file)
    assert to_json(back.config) == to_json(model.config)
    wanted = named_arrays(model.params)
    made = named_arrays(back.params)
    assert made.keys() == wanted.keys()
    assert all(made[name].tobytes() == wanted[name].tobytes() for name in made)
    # By the format's own words.
    stored = file.read_bytes()
    length = int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8 : 8 + length])
    entry = header["encoder.Conv_0.kernel"]
    begin, end = (8 + length + place for place in entry["data_offsets"])
    array = np.frombuffer(stored[begin:end], "<f4").reshape(entry["shape"])
    np.testing.assert_array_equal(array, wanted["encoder.Conv_0.kernel"])
    assert entry["dtype"] == "F32"
    assert length % 8 == 0
    assert header["__metadata__"]["caejax"] == caejax.__version__


def test_damaged_files_are_one_line(tmp_path):
    file = tmp_path / "model.safetensors"
    safetensors.write(file, {"a": np.arange(5.0)}, {"about": "this"})
    whole = file.read_bytes()
    damaged = {
        "checksum": whole[:-1] + bytes([whole[-1] ^ 1]),
        "cut": whole[:-9],
        "no safetensors": b"nothing of the kind, but long enough",
        "checksum ": whole.replace(b"this", b"that"),
    }
    for words, content in damaged.items():
        file.write_bytes(content)
        with pytest.raises(CaejaxError, match=words.strip()) as found:
            safetensors.read(file)
        assert "\n" not in str(found.value)
    file.write_bytes(whole)
    with pytest.raises(CaejaxError, match="no config in its header"):
        caejax.load(file)


def test_weights_of_pytorch_are_taken(torch, tmp_path):
    model = random_model(upsampling="deconv_k4")
    state = {}
    for name, array in named_arrays(model.params).items():
        owner, _, last = name.rpartition(".")
        if last == "bias":
            state[name] = torch.tensor(array)
        elif "Upsample" in name:
            # As PyTorch has it, turned.
            turned = np.flip(array, (0, 1)).transpose(2, 3, 0, 1).copy()
            state[f"{owner}.weight"] = torch.tensor(turned)
        else:
            kernel = array.transpose(3, 2, 0, 1).copy()
            state[f"{owner}.weight"] = torch.tensor(kernel)
    back = caejax.from_torch(state, model.config)
    made = named_arrays(back.params)
    for name, array in named_arrays(model.params).items():
        np.testing.assert_array_equal(made[name], array)
    del state["encoder.Conv_0.bias"]
    with pytest.raises(CaejaxError, match=r"lacks encoder\.Conv_0\.bias"):
        caejax.from_torch(state, model.config)


def test_weights_of_another_order_are_not_taken_by_their_number():
    """One whose inputs and outputs are exchanged has as many numbers."""
    model = random_model(skips="add")
    state = {}
    for name, array in named_arrays(model.params).items():
        kernel = array[None, None] if array.ndim == 2 else array  # of a skip
        if name.endswith("kernel") and "Upsample" not in name:
            state[f"{name[:-6]}weight"] = kernel.transpose(3, 2, 0, 1)
        elif name.endswith("kernel"):
            state[f"{name[:-6]}weight"] = to_torch(array, model.model.stages[0])
        else:
            state[name] = array
    made = named_arrays(caejax.from_torch(state, model.config).params)
    for name, array in named_arrays(model.params).items():
        np.testing.assert_array_equal(made[name], array)
    name = "encoder.Conv_0.weight"
    state[name] = state[name].swapaxes(0, 1)
    with pytest.raises(CaejaxError, match=r"Conv_0\.kernel has the shape"):
        caejax.from_torch(state, model.config)


@pytest.mark.parametrize("state", [[1, 2], "model.pt", {5: np.zeros(3)}, object()])
def test_what_is_no_state_dict_is_told(state):
    with pytest.raises(
        CaejaxError, match=r"; give a module's state_dict\(\), arrays by"
    ):
        caejax.from_torch(state, random_model().config)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    export(random_model(), "safetensors", file)
    arrays, texts = safetensors.read(file)
    name = "encoder.Conv_0.kernel"
    safetensors.write(file, {**arrays, name: arrays[name] * np.nan}, texts)
    with pytest.raises(CaejaxError, match=rf"{name} holds values that are NaN"):
        caejax.load(file)


def test_the_command_writes_what_it_says(tmp_path, capsys):
    file, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    export(random_model(), "safetensors", file)
    words = ["export", f"--run={file}", "--format=safetensors", f"--out={other}"]
    assert main(words) == 0
    assert "wrote" in capsys.readouterr().out
    assert other.read_bytes() == file.read_bytes()
    assert main(words) == 1
    assert "exists" in capsys.readouterr().err
    for run in words[1], "--run=nowhere":  # said before any run is read
        assert main(["export", run, "--format=onxx", f"--out={tmp_path / 'c'}"]) == 1
        assert "did you mean 'onnx'" in capsys.readouterr().err
