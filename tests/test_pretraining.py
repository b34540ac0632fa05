"""Tests of the study in experiments/pretraining, on a few drawn digits."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config

from caejax.data import Split
from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv
from caejax.inference import trained
from caejax.models.autoencoders import create_model
from caejax.report.style import paper_style
from experiments.pretraining import classifier, finished, study


def test_labels_are_balanced_and_smaller_sets_are_parts_of_larger():
    labels = np.random.default_rng(0).integers(10, size=2000)
    few, many = (study.balanced(labels, n, seed=3) for n in (100, 1000))
    assert len(set(few)) == 100
    assert np.bincount(labels[few]).tolist() == [10] * 10
    assert set(few) < set(many)


def test_the_classifier_by_hand():
    rng = np.random.default_rng(0)
    model = create_model(
        "tied_dense", shape=(2, 2, 1), latent_channels=3, code_activation="sigmoid"
    )
    kernel, bias = rng.normal(size=(4, 3)), rng.normal(size=3)
    encoder = {"kernel": kernel, "code_bias": bias, "pixel_bias": np.zeros(4)}
    params = {
        "encoder": {name: np.float32(x) for name, x in encoder.items()},
        "softmax_kernel": rng.normal(size=(3, 10)).astype(np.float32),
        "softmax_bias": rng.normal(size=10).astype(np.float32),
    }
    images = rng.random((5, 2, 2, 1)).astype(np.float32)
    code = 1 / (1 + np.exp(-(images.reshape(5, 4) @ kernel + bias)))
    logits = code @ params["softmax_kernel"] + params["softmax_bias"]
    found = classifier.logits(model, params, images)
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)
    labels = logits.argmax(-1).astype(np.int32)
    chance = np.exp(logits[range(5), labels]) / np.exp(logits).sum(-1)
    found = classifier.cross_entropy(model, params, images, labels)
    assert found == pytest.approx(-np.log(chance).mean(), rel=1e-5)
    labels[0] = (labels[0] + 1) % 10
    assert classifier.accuracy(model, params, images, labels) == pytest.approx(0.8)


def test_both_arms_start_from_one_draw_and_learn():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.int32), 20)
    images = np.zeros((200, 28, 28, 1), np.float32)
    images[np.arange(200), 2 * labels + 4] = 1  # a row for each class
    images += 0.1 * rng.random(images.shape, np.float32)
    random, trained = classifier.encoders(images, seed=0, epochs=1).values()
    again = classifier.encoders(images, seed=0, epochs=0)
    for name in random:
        np.testing.assert_array_equal(random[name], again["random"][name])
        np.testing.assert_array_equal(again["pre-trained"][name], random[name])
    assert not np.allclose(trained["kernel"], random["kernel"])
    part = Split(images, labels)
    model = classifier.DENOISER.model
    best = classifier.fine_tune(model, random, part, part, seed=0, steps=50)
    assert best.step == 50
    found = classifier.accuracy(model, best.params, images, labels)
    assert best.accuracy == found > 0.9


@pytest.mark.parametrize("encoder", ["conv", "dense"])
def test_any_finished_run_s_encoder_initialises_a_classifier(
    encoder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(study, "STEPS", {100: 100, 1000: 100})
    config = tiny_config()
    config.data.train_size = 300
    config.model.encoder = encoder
    run = tmp_path / "run"
    save_checkpoints(run, config, seeds=[7])
    assert study.main([f"--run={run}", "--seeds=2"]) == 0
    rows = read_csv(run / "pretraining" / "results.csv")
    assert [(r["seed"], r["labels"], r["encoder"]) for r in rows] == [
        (seed, 100, arm) for seed in (0, 1) for arm in ("random", "pre-trained")
    ]
    assert "of one run" in (run / "pretraining" / "results.md").read_text()
    own = trained.load(run)
    drawn, kept = finished.encoders(own, config.seed).values()
    jax.tree.map(np.testing.assert_array_equal, kept, own.params)
    leaves = zip(*map(jax.tree.leaves, (drawn, kept)), strict=True)
    assert max(np.abs(a - b).max() for a, b in leaves) > 0


def test_a_run_without_ten_classes_is_one_line(tmp_path, capsys):
    config = tiny_config()
    config.data.source = "dead_leaves"
    with pytest.raises(CaejaxError, match="not of 10 classes"):
        finished.dataset(config)
    assert study.main([f"--run={tmp_path}"]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_the_report_pairs_seeds():
    rows = [
        {"seed": seed, "labels": count, "encoder": arm, "test_accuracy": accuracy}
        for seed in range(8)
        for count in study.STEPS
        for arm, accuracy in (
            ("random", 0.8 + 0.01 * seed),
            ("pre-trained", 0.81 + 0.012 * seed),
        )
    ]
    line = study.report(rows, "as a test").splitlines()[-1].split(" | ")
    assert line[1:3] == ["83.50 [80.00, 87.00]", "85.20 [81.00, 89.40]"]
    assert line[3].startswith("+1.70 [+1.")
    assert line[4] == "+1.00, +1.20, +1.40, +1.60, +1.80, +2.00, +2.20, +2.40"
    # All signs alike: 2 of 2**8, three times by Holm.
    assert line[6].startswith("0.023")


def test_committed_results_are_of_the_committed_rows():
    rows = read_csv(study.HERE / "results.csv")
    written = (study.HERE / "results.md").read_text()
    how = "encoders pre-trained for 10 epochs"
    assert study.report(rows, how) == written


def test_the_kept_figure_is_drawn_anew_and_says_its_setting(tmp_path):
    assert study.main(["--redraw", f"--out={tmp_path}"]) == 0
    assert (tmp_path / "accuracy.png").exists()
    rows = read_csv(study.HERE / "results.csv")
    with paper_style():
        drawn = study.figure(rows, f"{study.OWN}: {study.own_text(10)}")
        plt.close(drawn)
    said = drawn.get_suptitle().replace("\n", " ")
    assert "MNIST" in said
    assert said.endswith("pre-trained for 10 epochs; 5 seeds")
    corruption = classifier.DENOISER.corruption
    assert corruption.name in said
