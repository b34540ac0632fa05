"""Tests of mending: phases get one gain, and nothing else changes."""

import json
import re

import numpy as np
import pytest
from helpers.onnx_files import onnx_file
from PIL import Image

from caejax.diagnose import diagnose
from caejax.diagnose.onnx_file import as_function, read
from caejax.errors import CaejaxError
from caejax.fix import __main__ as command
from caejax.fix import cost, fix, fix_file
from caejax.fix.effect import measure


def test_pytorch_modules(torch, normal, capsys):
    """Functional calls, linear layers of patches, biases, and weight normalisation."""
    from torch.nn import functional as F

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            norm = torch.nn.utils.parametrizations.weight_norm
            self.up = norm(torch.nn.ConvTranspose2d(4, 6, 5, 3, 1))
            self.kernel = torch.nn.Parameter(torch.randn(12, 6, 3, 3))
            self.bias = torch.nn.Parameter(torch.randn(12))
            self.patches = torch.nn.Linear(3, 4)

        def forward(self, x):
            y = F.conv2d(self.up(x), self.kernel, self.bias, padding=1)
            y = F.pixel_shuffle(y, 2)
            b, c, h, w = y.shape
            y = self.patches(y.permute(0, 2, 3, 1).reshape(b, h * w, c))
            y = y.reshape(b, h, w, 2, 2, 1).permute(0, 5, 1, 3, 2, 4)
            return y.reshape(b, 1, 2 * h, 2 * w)

    torch.manual_seed(0)
    module, x = Module(), torch.as_tensor(normal(1, 4, 20, 20))
    old = {name: value.clone() for name, value in module.state_dict().items()}
    mended = fix(module, x)
    told = capsys.readouterr().err
    assert "note: up: its weight is a plain parameter now" in told
    moved = dict(
        re.findall(r"note: (.*): its kernel moves by (.*) % of its norm", told)
    )
    assert {*moved} == {"up", "convolution", "patches"}
    change = mended.up.weight - module.up.weight
    part = 100 * change.norm() / module.up.weight.norm()
    assert float(moved["up"]) == pytest.approx(part.item(), rel=0.01)
    before, after = diagnose(module, x), diagnose(mended, x)
    assert before["ripple_db"] > -30
    assert after["ripple_db"] < -100
    assert mended(x).shape == module(x).shape
    assert all(torch.equal(old[name], x) for name, x in module.state_dict().items())
    assert mended.bias.mean().item() == pytest.approx(module.bias.mean().item())


def test_parts_without_a_run(torch, capsys):
    up = torch.nn.ConvTranspose1d(2, 2, 5, 2)
    x = torch.randn(1, 2, 40)
    mended = fix(torch.nn.Sequential(up))
    assert capsys.readouterr().err.startswith("note: 0: its kernel moves by ")
    assert diagnose(mended, x)["ripple_db"] < -100
    fix(mended, x)
    assert capsys.readouterr().err == "note: nothing was changed\n"
    fix(torch.nn.Sequential(up), verbose=False)
    assert capsys.readouterr().err == ""
    empty = torch.nn.ConvTranspose1d(2, 2, 2, 3)
    with pytest.warns(UserWarning, match="^1: some phases have no taps.* stays as"):
        mended = fix(torch.nn.Sequential(up, empty))
    assert diagnose(mended[0], x)["ripple_db"] < -100
    assert torch.equal(mended[1].weight, empty.weight)
    with pytest.raises(CaejaxError, match=r"call fix\(module, inputs\)"):
        fix(torch.nn.Sequential(up, torch.nn.PixelShuffle(2)))
    with pytest.raises(CaejaxError, match="sees what it calls by functions"):
        fix(torch.nn.Conv1d(2, 2, 3))
    with pytest.raises(CaejaxError, match="this is int"):
        fix(3)


@pytest.mark.parametrize("name", ["model.safetensors", "denoiser_gray"])
def test_weights_without_their_run_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CaejaxError, match="weights without their run"):
        fix_file(name, "fixed.onnx")


def test_what_nothing_was_done_to_is_told_as_it_is(normal, tmp_path):
    """Pixels that are written apart draw, and no kernel is known that does."""
    clean = onnx_file(tmp_path / "clean.onnx", [("Relu", ["x"], ["y"], {})], {})
    said = str(fix_file(clean, tmp_path / "same.onnx"))
    assert "nothing to mend: it draws no pattern" in said
    off = (np.indices((32, 32)) % 2).any(0)
    apart = [
        ("Gather", ["x", "places"], ["a"], {"axis": 2}),
        ("Gather", ["a", "places"], ["b"], {"axis": 3}),
        ("Mul", ["b", "mask"], ["y"], {}),
    ]
    weights = {"places": np.arange(32) // 2, "mask": 1 - off.astype(np.float32)}
    path = onnx_file(tmp_path / "model.onnx", apart, weights, shape=[1, 3, 16, 16])
    said = str(fix_file(path, tmp_path / "fixed.onnx"))
    assert "nothing was mended" in said
    assert "nothing to mend" not in said


def test_kernels_that_nodes_hold_keep_their_type(normal, tmp_path):
    """Of half precision, as exporters write them, and not among the file's weights."""
    onnx = pytest.importorskip("onnx")
    kernel = onnx.numpy_helper.from_array(normal(3, 2, 3, 3).astype(np.float16))
    nodes = [
        ("Cast", ["x"], ["a"], {"to": 10}),
        ("Constant", [], ["w"], {"value": kernel}),
        ("ConvTranspose", ["a", "w"], ["b"], {"strides": [2, 2]}),
        ("Cast", ["b"], ["y"], {"to": 1}),
    ]
    path = onnx_file(tmp_path / "model.onnx", nodes, {})
    found = fix_file(path, tmp_path / "fixed.onnx")
    assert found["clean"]
    assert 0.01 < found["changes"][0]["moved"] < 2


@pytest.mark.parametrize("shuffled", [False, True])
def test_kernels_that_inputs_make_stay_as_they_are(shuffled, normal, tmp_path):
    """A style scales them: what one style makes is not to be written for all."""
    onnx = pytest.importorskip("onnx")
    settings = {"pads": [1] * 4} if shuffled else {"strides": [2, 2]}
    nodes = [
        ("Mul", ["w", "style"], ["own"], {}),
        ("Conv" if shuffled else "ConvTranspose", ["x", "own"], ["a"], settings),
        ("DepthToSpace" if shuffled else "Identity", ["a"], ["y"],
         {"blocksize": 2} if shuffled else {}),
    ]  # fmt: skip
    shape = (4, 3, 3, 3) if shuffled else (3, 2, 3, 3)
    path = onnx_file(tmp_path / "model.onnx", nodes, {"w": normal(*shape)})
    model = onnx.load(path)
    style = onnx.helper.make_tensor_value_info("style", 1, [1])
    model.graph.input.append(style)
    onnx.save(model, path)
    found = fix_file(path, tmp_path / "fixed.onnx")
    assert found["changes"] == []
    assert any("weights are computed while the model runs" in x for x in found["about"])


@pytest.fixture
def dirty(normal, tmp_path):
    """An ONNX file whose every place draws a pattern, one kernel in two places."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    weights = {"w": normal(3, 3, 4, 4), "v": normal(12, 3, 3, 3), "b": normal(12)}
    nodes = [
        ("ConvTranspose", ["x", "w"], ["s"], {"strides": [3, 3], "pads": [1] * 4}),
        ("ConvTranspose", ["s", "w"], ["t"], {"strides": [2, 2], "pads": [1] * 4}),
        ("Conv", ["t", "v", "b"], ["u"], {"pads": [1] * 4}),
        ("DepthToSpace", ["u"], ["y"], {"blocksize": 2, "mode": "CRD"}),
    ]
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes],
        "graph",
        [helper.make_tensor_value_info("x", 1, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(x, name) for name, x in weights.items()],
    )
    ids = [helper.make_opsetid("", 17)]
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)
    return path


def test_onnx_files(dirty, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for n in range(3):
        pixels = np.random.default_rng(n).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{n}.png")
    out, record = tmp_path / "clean.onnx", tmp_path / "record.json"
    words = [str(dirty), f"--out={out}", f"--images={images}", f"--json={record}"]
    assert command.main(words) == 0
    found = json.loads(record.read_text())
    assert found["ripple_before_db"] > -20
    assert found["ripple_after_db"] < -100
    assert diagnose(out).clean
    assert not diagnose(dirty).clean
    assert [x["what"] for x in found["changes"]] == [*["kernel"] * 3, "bias"]
    low, high = found["images"]["between"]["interval_db"]
    assert low < found["images"]["between"]["mean_db"] < high
    said = capsys.readouterr().out
    assert "on 3 images old and new outputs are" in said
    assert "pattern on flat inputs, against the flat part of the output: -" in said
    assert "dB now (only rounding), " in said
    assert command.main(words) == 1
    assert "choose another --out" in capsys.readouterr().err
    (images / "2.png").unlink()  # of two values an interval tells nothing
    two = fix_file(dirty, tmp_path / "two.onnx", images=images)
    assert two["images"]["between"]["interval_db"] is None
    again = fix_file(out, tmp_path / "again.onnx")
    assert again["changes"] == []
    assert "was not measured" not in str(again)
    assert "--targets=DIR" in str(fix_file(dirty, tmp_path / "third.onnx"))


def test_the_effect_by_hand(tmp_path):
    for name in ("images", "targets"):
        (tmp_path / name).mkdir()
        for n in range(2):
            grey = np.full((32, 32), 51 * (n + 1 + (name == "targets")), np.uint8)
            Image.fromarray(grey).save(tmp_path / name / f"{n}.png")
    found = measure(
        lambda x: x,
        lambda x: x + 0.1,
        (1, None, None),
        tmp_path / "images",
        tmp_path / "targets",
    )
    assert found["between"]["mean_db"] == pytest.approx(20, abs=1e-4)
    near = found["targets"]
    assert near["before"]["mean_db"] == pytest.approx(20 * np.log10(5), abs=1e-4)
    assert near["after"]["mean_db"] == pytest.approx(20, abs=1e-4)
    (tmp_path / "targets" / "1.png").unlink()
    with pytest.raises(CaejaxError, match="--targets lacks"):
        measure(*[lambda x: x] * 2, (1, None, None), *tmp_path.glob("images"),
                tmp_path / "targets")  # fmt: skip


def test_a_model_that_was_clean_is_said_to_need_no_mending(normal, tmp_path):
    """Two channels that are alike, whose kernels' phases make up for each other."""
    nodes = [
        ("Conv", ["x", "v"], ["a"], {}),
        ("ConvTranspose", ["a", "w"], ["y"], {"strides": [2, 2]}),
    ]
    v, w = normal(1, 3, 1, 1), normal(1, 1, 2, 2)
    w = np.concatenate([w, 1 - w])
    w[0, 0, 0, 0] += 1e-4  # all but
    weights = {"v": np.tile(v, (2, 1, 1, 1)), "w": w}
    path = onnx_file(tmp_path / "model.onnx", nodes, weights)
    record = fix_file(path, tmp_path / "mended.onnx")
    assert -100 < record["ripple_before_db"] < -60
    assert record["changes"]
    assert "keep the model as it was" in record["about"][0]
    assert "it was clean before" in str(record)
    again = fix_file(tmp_path / "mended.onnx", tmp_path / "again.onnx")
    assert "it was clean before" not in str(again)  # nor is it changed


QUALITY = {"before_psnr_db": 19.79, "after_psnr_db": 11.36}


@pytest.mark.parametrize(
    ("tuned", "untied", "words"),
    [
        ({}, "", "do not use it as it is.*--finetune=2"),
        ({}, "deconv_k3 has none", "do not use it. deconv_k3 has none"),
        ({"finetuned_psnr_db": 19.5}, "", "use x-tuned"),
        ({"finetuned_psnr_db": 17.5}, "", "still 2.29 dB worse.*--finetune=4"),
    ],
)
def test_a_model_that_is_much_worse_is_warned_of(tuned, untied, words):
    quality = QUALITY | tuned
    if tuned:
        quality |= {"epochs": 2, "finetuned_out": "x-tuned"}
    said = cost.of_run(quality, untied, "x")
    assert said.startswith("warning: x is 8.43 dB worse than before")
    assert re.search(words, said)
    assert cost.of_run(quality | {"after_psnr_db": 19.4}, untied, "x") == ""


def test_the_record_warns_of_what_is_far_from_its_targets(dirty, tmp_path, monkeypatch):
    """The targets are what the old model makes, so that mending can only lose."""
    (tmp_path / "images").mkdir()
    (tmp_path / "targets").mkdir()
    model = as_function(read(dirty))
    for n in range(2):
        values = np.random.default_rng(n).random((3, 8, 8), np.float32)
        np.save(tmp_path / "images" / f"{n}.npy", values)
        target = model(values[None])[0]
        noise = np.random.default_rng(n).normal(0, 1e-3 * target.std(), target.shape)
        np.save(tmp_path / "targets" / f"{n}.npy", target + noise)
    record = fix_file(
        dirty,
        tmp_path / "mended.onnx",
        images=tmp_path / "images",
        targets=tmp_path / "targets",
    )
    assert "dB worse than before against the targets" in record["warning"]
    assert record["warning"] in str(record)
    monkeypatch.setattr("caejax.fix.columns", lambda: 60)
    path = str(tmp_path)  # which has no place to be broken at
    lines = [x for x in str(record).splitlines() if path not in x]
    assert max(map(len, lines)) <= 60
    assert record["warning"] in " ".join(str(record).split())
    assert " ".join(str(record).split()).endswith(record["warning"])
    change = record["images"]["targets"]["change"]["mean_db"]
    assert record["loss_db"] == -change > 0


def test_a_script_can_tell_what_was_lost(dirty, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    values = np.random.default_rng(0).random((3, 8, 8), np.float32)
    np.save(tmp_path / "images" / "0.npy", values)
    (tmp_path / "targets").mkdir()
    np.save(tmp_path / "targets" / "0.npy", as_function(read(dirty))(values[None])[0])
    given = [f"--{name}={tmp_path / name}" for name in ("images", "targets")]
    for loss, code in (("0.5", command.WORSE), ("inf", 0)):
        words = [str(dirty), f"--out={tmp_path / loss}.onnx", f"--max-loss={loss}"]
        assert command.main([*words, *given]) == code
    words = [str(dirty), f"--out={tmp_path / 'x.onnx'}", "--max-loss=1"]
    assert command.main(words) == 1
    assert "give --images and --targets" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_of_a_run_that_was_trained_further_that_loss_counts():
    moved = {"targets": {"change": {"mean_db": -9.0}}}
    record = {"quality": QUALITY, "images": None}
    lost = QUALITY["before_psnr_db"] - QUALITY["after_psnr_db"]
    assert cost.loss(record) == lost
    assert cost.loss(record | {"images": moved}) == 9.0
    tuned = QUALITY | {"finetuned_psnr_db": 19.0, "epochs": 2}
    best = QUALITY["before_psnr_db"] - 19.0
    assert cost.loss({"quality": tuned, "images": moved}) == best
    assert cost.loss({"quality": None, "images": None}) is None


def test_what_is_trained_in_place_of_kinds_without_a_tied_form():
    said = cost.without_tied(["deconv_k3"], "model.upsampling")
    assert "deconv_k3 has no form" in said
    assert "caejax run --config=CONFIG --config.model.upsampling=nearest_k3 " in said
    said = cost.without_tied(["deconv_k2", "deconv_k3"], "model.decoder_layers")
    assert "deconv_k2 and deconv_k3 have no form" in said
    assert "in config.model.decoder_layers: caejax run --config=CONFIG --work" in said
