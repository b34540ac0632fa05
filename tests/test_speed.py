"""Tests of the study in experiments/speed."""

import importlib
import io
import json

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.errors import CaejaxError
from caejax.models.autoencoders import create_model
from caejax.models.kinds import CONTENT, UPSAMPLING
from caejax.report.style import paper_style
from experiments.shared.turns import ratio_quartiles, whose_turn
from experiments.speed import (
    epoch,
    figures,
    flax_model,
    interleave,
    kernels,
    runners,
    study,
    sweeps,
    systems,
    tables,
    targets,
    worker,
)


@pytest.fixture
def small():
    """A system with an odd size inside: 7 to 4 to 2 pixels."""

    def make(kind):
        return systems.general((6, 3), kind, batch=2, side=7)

    return make


@pytest.fixture
def layered():
    """A system of these layers."""

    def make(encoder, decoder, **settings):
        model = {
            "encoder": "layers",
            "encoder_layers": encoder,
            "decoder_layers": decoder,
        }
        return systems.System("made up", model, **settings)

    return make


@pytest.fixture
def every_layer(layered):
    """All that layers can be, 14 pixels wide."""
    return layered(
        ("conv3 4 relu", "pool", "conv3 4 valid sigmoid", "pool valid"),
        ("nearest 7/2", "conv1 4", "nearest_k3 5 valid", "pool", "deconv_k3 3 valid")
        + ("conv5 3 valid relu", "conv3 3", "nearest_k3 3 relu", "conv5 1 valid"),
        batch=2,
        side=14,
    )


@pytest.fixture
def logits_of_caejax():
    """caejax's output for a system's random weights."""

    def compute(system, images):
        model = create_model(**system.model, shape=(system.side, system.side, 1))
        params = runners.caejax_params(system)
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


@pytest.mark.parametrize(
    ("words", "flops"),
    [
        # 25 pixels, 3 features, 9 taps of 8 channels: as many products as additions.
        ("conv3 3", 2 * 25 * 3 * 9 * 8),
        ("conv3 3 valid", 2 * 9 * 3 * 9 * 8),
        ("pool", 0),
        ("nearest 7/5", 0),
        ("deconv_k4 3", 2 * 25 * 16 * 8 * 3),  # every input pixel meets every tap
        ("deconv_k4 3 valid", 2 * 25 * 16 * 8 * 3),
        ("deconv_k3_fir 3", 2 * 25 * 9 * 8 * 3),
        ("nearest_k3 3", 2 * 100 * 9 * 8 * 3),  # at the high resolution
        ("nearest_k3 3 valid", 2 * 64 * 9 * 8 * 3),
        ("bilinear_additive 3", 2 * 100 * 9 * 2 * 3),  # 8 channels become 2
        ("shuffle_k3 3", 2 * 25 * 9 * 8 * 12),  # to 4 x 3 channels at the low one
    ],
)
def test_flops_by_hand(layered, words, flops):
    *_, step = systems.plan(layered(("conv3 8",), (words,), side=5))
    assert systems.forward_flops(step) == flops


def test_step_is_three_forward_passes():
    system = systems.general((2,), "deconv_k2", batch=7, side=6)
    encode = 2 * 36 * 9 * 1 * 2
    upsample = 2 * 9 * 4 * 2 * 2
    image = 2 * 36 * 9 * 2
    assert systems.step_flops(system) == 3 * 7 * (encode + upsample + image)


def test_general_model_is_cropped_to_odd_sizes():
    sides = [step.after[:2] for step in systems.plan(systems.general())]
    assert [side for side, _ in sides] == [28, 14, 14, 7, 7, 4, 7, 14, 28, 28]
    assert all(height == width for height, width in sides)


def test_published_systems_end_in_their_images():
    for system in systems.published().values():
        steps = systems.plan(system)
        assert steps[0].before == steps[-1].after == (28, 28, 1), system.name


def test_published_batches():
    batches = {name: system.batch for name, system in systems.published().items()}
    assert (batches["A"], batches["A batch 200"]) == (128, 200)
    assert (batches["E upsampling"], batches["E upsampling batch 20"]) == (128, 20)
    assert batches["mnist_denoise"] == 32


def test_system_f_has_the_source_s_parameters():
    assert systems.parameters(systems.published()["F"]) == 28_353


def test_every_kind_of_stock_layers_is_measured():
    others = {"deconv_k4_tied", "shuffle_tied", "carafe", "dysample"}
    assert set(systems.kinds()) == set(UPSAMPLING) - others


@pytest.fixture(params=["every_layer", "nearest_k3", "shuffle_hold", "deconv_k3_fir"])
def compared(request, small):
    """Systems that other libraries must compute alike."""
    if request.param == "every_layer":
        return request.getfixturevalue("every_layer")
    return small(request.param)


def test_stock_flax_is_the_same_model(compared, logits_of_caejax):
    images = systems.random_images(compared, 2)
    params = flax_model.to_params(compared, systems.random_weights(compared))
    model = flax_model.StockAutoencoder(compared)
    stock = jax.jit(model.apply)({"params": params}, images)
    np.testing.assert_allclose(stock, logits_of_caejax(compared, images), atol=1e-5)
    assert np.ptp(stock) > 0.1


def test_pytorch_is_the_same_model(compared, logits_of_caejax, torch):
    images = systems.random_images(compared, 2)
    weights = systems.random_weights(compared)
    torch_model = importlib.import_module("experiments.speed.torch_model")
    model = torch_model.TorchAutoencoder(compared, weights)
    with torch.no_grad():
        logits = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    found = logits.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, logits_of_caejax(compared, images), atol=1e-5)


@pytest.mark.parametrize("kind", ["deconv_k4_tied", "shuffle_tied", *CONTENT])
def test_pytorch_has_the_other_kinds_too(kind, small, logits_of_caejax, torch):
    test_pytorch_is_the_same_model(small(kind), logits_of_caejax, torch)


def test_ratio_pairs_rounds():
    # Ratios 2, 1, 3, 2, 5: a machine that slows down for a round changes none.
    ms, reference = [20, 100, 30, 2, 5], [10, 100, 10, 1, 1]
    assert ratio_quartiles(ms, reference) == (2, 2, 3)


def test_summary_of_made_up_times():
    summary = tables.summarise(
        record(caejax=[4, 5, 10], torch_nchw=[8, 5, 30], torch_nhwc=[7, 4, 9])
    )
    assert summary["caejax"] == (5, (1, 1, 1), 100)  # 0.5 GFLOP in 5 ms
    assert summary["torch_nchw"].ratio == (1.5, 2, 2.5)
    assert tables.best_torch(summary) == "torch_nhwc"


def test_without_caejax_there_are_no_ratios():
    assert tables.summarise(record(flax=[1, 2]))["flax"].ratio is None


def test_results_are_written(tmp_path):
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


def test_scaling_is_written(tmp_path):
    points = [
        {"axis": "depth", "value": n, **record(caejax=[5.0], torch_nhwc=[8.0])}
        for n in (2, 3)
    ]
    study.write({"setting": {"cores": 2}, "scaling": points}, tmp_path)
    text = (tmp_path / "scaling.md").read_text()
    assert "| depth | 2 | 500 | 100 | 800 | PyTorch channels_last | 1.60" in text
    assert (tmp_path / "scaling.png").stat().st_size > 0


def test_workers_take_turns_in_alternating_order(monkeypatch):
    order = []

    class Fake:
        pid = 1

        def __init__(self, name):
            self.name = name

        def ask(self, do, steps):
            order.append(self.name)
            return {"seconds": 0.5, "cpu_seconds": 1.0, "idle_cpu_seconds": 0.0}

    workers = {name: Fake(name) for name in "abc"}
    monkeypatch.setattr(interleave.idle, "was_idle", lambda found: True)
    times, _ = interleave.take_turns(workers, dict.fromkeys("abc", 10), 3)
    assert "".join(order) == "abccbaabc"
    assert times["b"]["ms"] == [50, 50, 50]
    assert times["b"]["cores_busy"] == 2


def test_worker_answers_every_line(monkeypatch, small):
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


def test_worker_rebuilds_a_system_from_json(monkeypatch):
    got = []
    create = lambda system, settings: got.append((system, settings))  # noqa: E731
    monkeypatch.setitem(worker.IMPLEMENTATIONS, "caejax", (create, {}))
    monkeypatch.delattr(worker.os, "sched_setaffinity", raising=False)
    system = systems.published()["E denoiser"]
    message = {"implementation": "caejax", "system": system._asdict(), "settings": {}}
    worker.make(json.loads(json.dumps(message)))
    assert got == [(system, runners.Settings())]


def test_other_paths_are_measured_only_when_asked():
    ordinary = study.parse([]).implementations
    every = study.parse(["--implementations=all"]).implementations
    assert set(every) == set(runners.IMPLEMENTATIONS)
    others = [name for name in every if name not in ordinary]
    paths = [runners.IMPLEMENTATIONS[name][1]["path"] for name in others]
    assert sorted(paths) == ["matmul", "polyphase", "stock"]


def test_epochs_are_timed_in_one_call_each():
    asked = []

    class Fake:
        def warm_up(self):
            asked.append("warm up")

        def ask(self, do, steps):
            asked.append((do, steps))
            return {"seconds": len(asked)}

    assert epoch.epochs(Fake(), 300, 2) == [2, 3]
    assert asked == ["warm up", ("run", 300), ("run", 300)]


@pytest.mark.parametrize("reached", [True, False])
def test_aims_are_judged(tmp_path, reached):
    epochs, many, torch = ([0.1, 0.2, 0.9], 5, 3.5) if reached else ([0.4], 7, 2.5)

    def write(name, values):
        (tmp_path / name).write_text(json.dumps(values))

    write("epoch.json", {"device": "gpu", "seconds": {"bfloat16": {"auto": epochs}}})
    one = {"device": "H100", "seconds": 2, "steps": 1}
    rounds = [{"one": one, "many": {"seconds": 2 * many, "steps": many}}]
    write("seeds.json", {"setting": {"seeds": 32}, "rounds": {"auto": rounds}})
    measured = record(caejax=[1], torch_nhwc=[torch], torch_compile=[torch + 1])
    measured["implementations"]["torch_compile"]["platform"] = "gpu"
    write("results.json", {"systems": [measured]})
    assert [aim.reached for aim in targets.judge(tmp_path)] == [reached] * 4
    text = targets.report(targets.judge(tmp_path))
    assert ("pass" in text, "FAIL" in text) == (reached, not reached)


def test_what_is_not_measured_is_not_reached(tmp_path, capsys):
    assert targets.main([f"--out={tmp_path}"]) == 1
    assert capsys.readouterr().out.count("not measured | - | FAIL") == 4
    # Nor is what ran on a CPU, however fast, or without the compiled PyTorch.
    (tmp_path / "epoch.json").write_text(
        json.dumps({"device": "cpu", "seconds": {"bfloat16": {"auto": [0.1]}}})
    )
    results = {"systems": [record(caejax=[1], torch_nhwc=[9])]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert targets.report(targets.judge(tmp_path)).count("FAIL") == 4


def test_names_are_checked(capsys):
    args = study.parse(["--systems=", "--kinds=deconv_k4,deconv_k3"])
    assert (args.systems, args.kinds) == ([], ["deconv_k3", "deconv_k4"])
    with pytest.raises(SystemExit):
        study.parse(["--kinds=deconv_k9"])
    assert "--kinds has 'deconv_k9' (did you mean" in capsys.readouterr().err


def test_sweeps_go_on_with_the_rounds_that_are_missing(tmp_path):
    path, setting = tmp_path / "sweeps.json", {"epochs": 1}
    results = sweeps.resumed(path, setting)
    turns = []
    while (way := whose_turn(results["seconds"], 2)) and len(turns) < 4:
        turns.append(way)
        results["seconds"][way].append(float(len(turns)))
        path.write_text(json.dumps(results))
        results = sweeps.resumed(path, setting)
    assert turns == ["processes", "serial", "one core", "processes"]
    assert results["seconds"]["processes"] == [1.0, 4.0]
    assert whose_turn(sweeps.resumed(path, {"epochs": 2})["seconds"], 1)
    line = sweeps.report(
        {"seconds": dict(zip(sweeps.WAYS, ([2], [3], [5]), strict=True))}
    )
    assert "| 5 | 2.50 | 1.6 |" in line


def test_figures_say_machine_sizes_and_versions():
    kept = json.loads((figures.HERE / "results.json").read_text())
    grown = json.loads((figures.HERE / "scaling.json").read_text())
    with paper_style():
        ratios, scaling = figures.ratios(kept), figures.scaling(grown)
        plt.close("all")
    for drawn in (ratios, scaling):
        said = drawn.get_suptitle().replace("\n", " ")
        assert "2 x86_64 CPU cores, float32" in said
        assert "torch 2.13.0+cpu" in said
    systems, kinds = ratios.axes
    assert kinds.get_title().endswith("batch 128, 28 x 28 pixels")
    names = [label.get_text() for label in systems.get_yticklabels()]
    assert names[:2] == ["A, batch 128", "A, batch 200"]
    assert names[-1] == "mnist_denoise, batch 32"
    units = [axis.get_xlabel() for axis in scaling.axes]
    assert units[:2] == ["batch (images)", "image side (pixels)"]


def test_kernels_are_summed_by_name_and_step():
    events = [("conv", 3000.0), ("fusion", 1000.0), ("conv", 5000.0)]
    assert kernels.by_kernel(events, steps=2) == [
        {"kernel": "conv", "us_a_step": 4.0, "launches_a_step": 1.0},
        {"kernel": "fusion", "us_a_step": 0.5, "launches_a_step": 0.5},
    ]


def test_a_profile_of_a_cpu_has_no_kernels(tmp_path):
    with jax.profiler.trace(str(tmp_path)):
        jax.jit(lambda x: x + 1)(jax.numpy.ones(3)).block_until_ready()
    with pytest.raises(CaejaxError, match="no kernels of an accelerator"):
        kernels.of_devices(tmp_path)
