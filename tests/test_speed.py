"""Tests of the study in experiments/speed."""

import importlib
import io
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from caejax.models.autoencoders import create_model
from caejax.models.kinds import UPSAMPLING

FOLDER = Path(__file__).parents[1] / "experiments" / "speed"
MODULES = (
    "study",
    "systems",
    "flax_model",
    "torch_model",
    "runners",
    "worker",
    "interleave",
    "tables",
    "figures",
)


@pytest.fixture(scope="module")
def find():
    """Imports the study's modules; other studies have modules of these names."""
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture
def systems(find):
    return find("systems")


@pytest.fixture
def small(systems):
    """A system with an odd size inside: 7 to 4 to 2 pixels."""

    def make(kind):
        return systems.System("small", (6, 5), 3, kind, batch=2, side=7)

    return make


@pytest.fixture
def logits_of_caejax(find, systems):
    """caejax's output for a system's random weights."""

    def compute(system, images):
        model = create_model(
            "conv",
            shape=(system.side, system.side, 1),
            widths=system.widths,
            latent_channels=system.latent,
            upsampling=system.kind,
            bottleneck="pooled",
            code_activation="relu",
        )
        params = find("runners").caejax_params(system)
        return jax.jit(model.apply)({"params": params}, images)

    return compute


def record(**ms):
    """A system's record with these times."""
    one = {
        "platform": "cpu",
        "first_steps_s": 1.0,
        "resident_mib": 100.0,
        "device_mib": 0.0,
        "max_difference": 0.0,
    }
    return {
        "name": "made up",
        "batch": 10,
        "gflop": 0.5,
        "failures": {},
        "implementations": {name: {**one, "ms": times} for name, times in ms.items()},
    }


def test_flops_by_hand(systems):
    conv = systems.Layer("encode", "conv", channels=2, features=3, side=5, size=5)
    # 25 pixels, 3 features, 9 taps of 2 channels: as many products as additions.
    assert systems.forward_flops(conv) == 2 * 25 * 3 * 18
    up = {"part": "upsample", "channels": 8, "features": 3, "side": 5, "size": 10}
    by_hand = {
        "deconv_k4": 2 * 25 * 16 * 8 * 3,  # every input pixel meets every tap
        "deconv_k3_fir": 2 * 25 * 9 * 8 * 3,
        "nearest_k3": 2 * 100 * 9 * 8 * 3,  # at the high resolution
        "bilinear_additive": 2 * 100 * 9 * 2 * 3,  # 8 channels become 2
        "shuffle_k3": 2 * 25 * 9 * 8 * 12,  # to 4 x 3 channels at the low one
    }
    found = {
        kind: systems.forward_flops(systems.Layer(kind=kind, **up)) for kind in by_hand
    }
    assert found == by_hand


def test_step_is_three_forward_passes(systems):
    system = systems.System("one stage", (4,), 2, "deconv_k2", batch=7, side=6)
    encode = 2 * 36 * 9 * 1 * 2
    upsample = 2 * 9 * 4 * 2 * 4
    image = 2 * 36 * 9 * 4
    assert systems.step_flops(system) == 3 * 7 * (encode + upsample + image)


def test_layers_of_system_a(systems):
    sizes = [
        (layer.part, layer.channels, layer.features, layer.side, layer.size)
        for layer in systems.layers(systems.published()["A"])
    ]
    assert sizes == [
        ("encode", 1, 32, 28, 28),
        ("encode", 32, 32, 14, 14),
        ("encode", 32, 16, 7, 7),
        ("upsample", 16, 16, 4, 7),
        ("upsample", 16, 32, 7, 14),
        ("upsample", 32, 32, 14, 28),
        ("image", 32, 1, 28, 28),
    ]


def test_system_f_has_the_source_s_parameters(systems):
    assert systems.parameters(systems.published()["F"]) == 28_353


def test_every_kind_is_measured(systems):
    assert list(systems.kinds()) == list(UPSAMPLING)


@pytest.mark.parametrize("kind", ["nearest_k3", "shuffle_hold"])
def test_stock_flax_is_the_same_model(kind, find, systems, small, logits_of_caejax):
    system, flax_model = small(kind), find("flax_model")
    images = systems.random_images(system, 2)
    params = flax_model.to_params(system, systems.random_weights(system))
    model = flax_model.StockAutoencoder(system)
    stock = jax.jit(model.apply)({"params": params}, images)
    np.testing.assert_allclose(stock, logits_of_caejax(system, images), atol=1e-5)
    assert np.ptp(stock) > 0.1


@pytest.mark.parametrize("kind", ["deconv_k3", "deconv_k3_fir"])
def test_pytorch_is_the_same_model(kind, find, systems, small, logits_of_caejax, torch):
    system, torch_model = small(kind), find("torch_model")
    images = systems.random_images(system, 2)
    weights = systems.random_weights(system)
    model = torch_model.TorchAutoencoder(system, weights)
    with torch.no_grad():
        logits = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    found = logits.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, logits_of_caejax(system, images), atol=1e-5)


def test_ratio_pairs_rounds(find):
    # Ratios 2, 1, 3, 2, 5: a machine that slows down for a round changes none.
    ms, reference = [20, 100, 30, 2, 5], [10, 100, 10, 1, 1]
    assert find("tables").ratio(ms, reference) == (2, 2, 3)


def test_summary_of_made_up_times(find):
    summary = find("tables").summarise(
        record(caejax=[4, 5, 10], torch_nchw=[8, 5, 30], torch_nhwc=[7, 4, 9])
    )
    assert summary["caejax"] == (5, (1, 1, 1), 100)  # 0.5 GFLOP in 5 ms
    assert summary["torch_nchw"].ratio == (1.5, 2, 2.5)
    assert find("tables").best_torch(summary) == "torch_nhwc"


def test_without_caejax_there_are_no_ratios(find):
    assert find("tables").summarise(record(flax=[1, 2]))["flax"].ratio is None


def test_results_are_written(find, tmp_path):
    study = find("study")
    results = {
        "setting": {"cores": 2},
        "peaks": {"jax": {"64": 100.0, "128": 200.0}, "torch": "not installed"},
        "systems": [record(caejax=[5.0], flax=[10.0])],
        "kinds": [record(caejax=[5.0]) | {"failures": {"torch_compile": "no gcc"}}],
    }
    study.write(results, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "| stock Flax | 10 | 2.00 [2.00, 2.00] | 50 (25%) |" in text
    assert "torch.compile: not measured, no gcc" in text
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (tmp_path / "speed.png").stat().st_size > 0


def test_scaling_is_written(find, tmp_path):
    points = [
        {"axis": "depth", "value": n, **record(caejax=[5.0], torch_nhwc=[8.0])}
        for n in (2, 3)
    ]
    find("study").write({"setting": {"cores": 2}, "scaling": points}, tmp_path)
    text = (tmp_path / "scaling.md").read_text()
    assert "| depth | 2 | 500 | 800 | PyTorch channels_last | 1.60" in text
    assert (tmp_path / "scaling.png").stat().st_size > 0


def test_workers_take_turns_in_alternating_order(find):
    order = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def ask(self, do, steps):
            order.append(self.name)
            return {"seconds": 0.5, "cpu_seconds": 1.0, "idle_cpu_seconds": 0.0}

    workers = {name: Fake(name) for name in "abc"}
    times = find("interleave").take_turns(workers, dict.fromkeys("abc", 10), 3)
    assert "".join(order) == "abccbaabc"
    assert times["b"]["ms"] == [50, 50, 50]
    assert times["b"]["cores_busy"] == 2


def test_worker_answers_every_line(find, monkeypatch, small):
    worker, runners = find("worker"), find("runners")
    steps = []
    runner = runners.Runner("cpu", steps.append, np.negative, lambda: 0, None)
    monkeypatch.setattr(worker, "make", lambda message: runner)
    out = io.StringIO()
    system = small("nearest_k3")._asdict()
    messages = [
        {"do": "make"},
        {"do": "run", "steps": 5},
        {"do": "forward", "system": system},
        {"do": "run"},
    ]
    worker.serve(map(json.dumps, messages), out)
    made, ran, forward, failed = map(json.loads, out.getvalue().splitlines())
    assert made["platform"] == "cpu"
    assert steps == [5]
    assert ran["seconds"] >= 0
    assert forward["logits"]
    assert failed["error"] == "KeyError: 'steps'"


def test_names_are_checked(find):
    study = find("study")
    assert study.chosen("all", ["a", "b"]) == ["a", "b"]
    assert study.chosen("b", ["a", "b"]) == ["b"]
    assert study.chosen("", ["a", "b"]) == []
    with pytest.raises(ValueError, match="no c; known: a, b"):
        study.chosen("a,c", ["a", "b"])
