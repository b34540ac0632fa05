"""Tests of the study in experiments/pretraining, on a few drawn digits."""

import numpy as np
import pytest
from studies import EXPERIMENTS, modules_of

from caejax.csv_files import read_csv
from caejax.data import Split


@pytest.fixture(scope="module")
def modules():
    with modules_of("pretraining") as find:
        yield find


def test_labels_are_balanced_and_smaller_sets_are_parts_of_larger(modules):
    labels = np.random.default_rng(0).integers(10, size=2000)
    few, many = (modules("study").balanced(labels, n, seed=3) for n in (100, 1000))
    assert len(set(few)) == 100
    assert np.bincount(labels[few]).tolist() == [10] * 10
    assert set(few) < set(many)


def test_the_classifier_by_hand(modules):
    classifier, rng = modules("classifier"), np.random.default_rng(0)
    params = {
        "kernel": rng.normal(size=(4, 3)).astype(np.float32),
        "bias": rng.normal(size=3).astype(np.float32),
        "softmax_kernel": rng.normal(size=(3, 10)).astype(np.float32),
        "softmax_bias": rng.normal(size=10).astype(np.float32),
    }
    images = rng.random((5, 2, 2, 1)).astype(np.float32)
    code = 1 / (1 + np.exp(-(images.reshape(5, 4) @ params["kernel"] + params["bias"])))
    logits = code @ params["softmax_kernel"] + params["softmax_bias"]
    np.testing.assert_allclose(classifier.logits(params, images), logits, rtol=1e-5)
    labels = logits.argmax(-1).astype(np.int32)
    chance = np.exp(logits[range(5), labels]) / np.exp(logits).sum(-1)
    found = classifier.cross_entropy(params, images, labels)
    assert found == pytest.approx(-np.log(chance).mean(), rel=1e-5)
    labels[0] = (labels[0] + 1) % 10
    assert classifier.accuracy(params, images, labels) == pytest.approx(0.8)


def test_both_arms_start_from_one_draw_and_learn(modules):
    classifier, rng = modules("classifier"), np.random.default_rng(0)
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
    best = classifier.fine_tune(random, part, part, seed=0, steps=50)
    assert best.step == 50
    assert best.accuracy == classifier.accuracy(best.params, images, labels) > 0.9


def test_the_report_pairs_seeds(modules):
    study = modules("study")
    rows = [
        {"seed": seed, "labels": count, "encoder": arm, "test_accuracy": accuracy}
        for seed in range(8)
        for count in study.STEPS
        for arm, accuracy in (
            ("random", 0.8 + 0.01 * seed),
            ("pre-trained", 0.81 + 0.012 * seed),
        )
    ]
    line = study.report(rows, epochs=3).splitlines()[-1].split(" | ")
    assert line[1:3] == ["83.50 [80.00, 87.00]", "85.20 [81.00, 89.40]"]
    assert line[3].startswith("+1.70 [+1.")
    assert line[4] == "+1.00, +1.20, +1.40, +1.60, +1.80, +2.00, +2.20, +2.40"
    # All signs alike: 2 of 2**8, three times by Holm.
    assert line[6].startswith("0.023")


def test_committed_results_are_of_the_committed_rows(modules):
    rows = read_csv(EXPERIMENTS / "pretraining" / "results.csv")
    written = (EXPERIMENTS / "pretraining" / "results.md").read_text()
    assert modules("study").report(rows, epochs=10) == written
