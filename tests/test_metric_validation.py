"""Tests of the study of planted artifacts, and its findings on fewer images."""

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import caejax.data
from caejax.files.csv_files import read_csv
from caejax.metrics import checkerboard
from caejax.metrics.table import PERIODS
from caejax.report.style import paper_style
from experiments.metric_validation import literature, planted, scores, study, tables

FOLDER = Path(study.__file__).parent

# The area under the ROC curve.


def brute_auc(positives, negatives):
    pairs = list(itertools.product(positives, negatives))
    return sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)


def test_auc_by_hand():
    """3 beats both, 2 beats one and ties with one, 1 beats one: 4.5 of 6 pairs."""
    assert scores.auc(np.array([1, 2, 3]), np.array([0, 2])) == 0.75
    assert scores.auc(np.array([1, 1]), np.array([1])) == 0.5
    assert scores.auc(np.array([0, 1]), np.array([2])) == 0


def test_auc_is_the_share_of_pairs():
    rng = np.random.default_rng(0)
    positives, negatives = rng.integers(8, size=30), rng.integers(7, size=20)
    expected = brute_auc(positives, negatives)
    assert scores.auc(positives, negatives) == pytest.approx(expected)


def test_crossover_is_the_mean_of_both_ways():
    negatives, positives = np.random.default_rng(0).normal(size=(2, 2, 12))
    area = scores.crossover_auc(negatives, positives, clusters=12)
    ways = [
        brute_auc(positives[1], negatives[0]),
        brute_auc(positives[0], negatives[1]),
    ]
    assert area.auc == pytest.approx(np.mean(ways))
    assert area.sets == 24


def test_crossover_cancels_a_difference_between_the_halves():
    negatives = np.array([[0, 1, 2], [5, 6, 7]])
    assert scores.crossover_auc(negatives, negatives, clusters=3).auc == 0.5


def test_roc_has_the_area():
    negatives, positives = np.random.default_rng(0).normal(size=(2, 2, 15))
    false, true = scores.crossover_roc(negatives, positives + 1)
    expected = scores.crossover_auc(negatives, positives + 1, clusters=15).auc
    # Without ties each step up is taken at the left end of its column.
    assert true[:-1].mean() == pytest.approx(expected)
    assert (false[0], false[-1], true[-1]) == (0, 1, 1)


@pytest.mark.parametrize("per_cluster", [1, 4])
def test_interval_covers_the_truth(per_cluster):
    """Two normal distributions one standard deviation apart: area 0.760."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        shared = rng.normal(size=(2, 2, 30, 1)).repeat(per_cluster, -1)
        own = rng.normal(size=shared.shape)
        weight = 0.7 if per_cluster > 1 else 0
        values = weight**0.5 * shared + (1 - weight) ** 0.5 * own
        negatives, positives = values.reshape(2, 2, -1)
        area = scores.crossover_auc(negatives, positives + 1, clusters=30)
        covered += area.low <= 0.7602 <= area.high
    assert 0.91 < covered / 400 < 0.98


# The literature's metrics.


def test_bef_by_hand():
    """Of 8 pairs at boundaries 4 differ by 1, of the others none: 0.5 * (4/8 - 0)."""
    image = np.tile(np.float32([0, 0, 1, 1]), (1, 4, 1))[..., None]
    assert literature.bef(image, 2) == pytest.approx(0.25)
    assert literature.bef(image.swapaxes(1, 2), 2) == pytest.approx(0.25)
    # Steps inside blocks count against it, never below nothing.
    assert literature.bef(np.roll(image, 1, 2), 2) == 0
    # 0.5 * (4/8 - 4/16) with a step of 1 inside a block, and none of period 4.
    image = np.tile(np.float32([0, 1, 2, 2]), (1, 4, 1))[..., None]
    assert literature.bef(image, 2) == pytest.approx(0.125)


def test_azimuthal_power_follows_the_amplitude_unless_normalised(normal):
    image = normal(1, 32, 32, 1)
    for metric, gain in [
        (literature.azimuthal_db, 20 * np.log10(2)),
        (literature.azimuthal_minmax, 0),
    ]:
        difference = metric(2 * image) - metric(image)
        assert difference.item() == pytest.approx(gain, abs=1e-3)


def test_rings_are_frequencies():
    """What has 5 to 6 cycles an image is in ring 5."""
    f = 32 * np.fft.fftfreq(32)
    ring = np.hypot(f[:, None], f[None]).astype(int) == 5
    image = np.float32(np.fft.ifft2(ring).real)[None, ..., None]
    profile = literature.azimuthal_profile(image)[0]
    assert profile.shape == (22,)  # out to the corner at 16 * sqrt(2)
    assert profile[5 - 1].item() == pytest.approx(0, abs=1e-3)
    assert np.delete(profile, 5 - 1).max() < -100


def test_non_dc_energy_is_that_of_the_lattice(normal):
    image = 1 + normal(1, 16, 16, 1)
    power = np.abs(np.fft.fft2(image[0, ..., 0])) ** 2
    expected = (power[::4, ::4].sum() - power[0, 0]) / power.sum()
    assert literature.non_dc_energy(image, 4).item() == pytest.approx(
        expected, rel=1e-4
    )


# What is planted.


def natural(normal, batch=4, size=32):
    """Smooth random images around mid grey."""
    return 0.5 + planted.blur(normal(batch, size, size, 1), 2)


def patterns(period, sets, seed=0):
    return planted.unit_patterns(np.random.default_rng(seed), sets, period)


@pytest.mark.parametrize("artifact", planted.ARTIFACTS)
@pytest.mark.parametrize("period", PERIODS)
def test_artifacts_have_unit_rms(artifact, period, normal):
    images = natural(normal)
    pattern = planted.tile(patterns(period, 2), 2, (32, 32))
    added = planted.ARTIFACTS[artifact](pattern, images)
    assert added.shape == images.shape
    rms = np.sqrt((added**2).mean((1, 2, 3)))
    np.testing.assert_allclose(rms, 1, rtol=1e-4)


@pytest.mark.parametrize("artifact", planted.ARTIFACTS)
def test_nothing_to_modulate_is_nothing_planted(artifact):
    if artifact != "tone":
        pattern = planted.tile(patterns(4, 1), 1, (16, 16))
        flat = np.full_like(pattern, 0.5)
        np.testing.assert_array_equal(planted.ARTIFACTS[artifact](pattern, flat), 0)


@pytest.mark.parametrize("period", PERIODS)
def test_patterns_have_exactly_their_period(period):
    tiled = planted.tile(patterns(period, 1), 1, (32, 32))[0, ..., 0]
    half = period // 2
    for axis in (0, 1):
        np.testing.assert_array_equal(np.roll(tiled, period, axis), tiled)
    shifts = [np.roll(tiled, (i * half, j * half), (0, 1)) for i, j in np.ndindex(2, 2)]
    np.testing.assert_allclose(np.mean(shifts, 0), 0, atol=1e-6)
    assert not np.allclose(shifts[0], shifts[3], atol=0.1) or period == 2


def test_each_set_has_its_own_pattern():
    tiled = planted.tile(patterns(4, 2), 3, (8, 8))
    assert np.ptp(tiled[:3], axis=0).max() == np.ptp(tiled[3:], axis=0).max() == 0
    assert np.abs(tiled[0] - tiled[3]).max() > 0.1


@pytest.mark.parametrize("artifact", ["content", "low_pass"])
def test_modulated_patterns_vary_in_sign(artifact, normal):
    pattern = planted.tile(patterns(4, 4), 1, (32, 32))
    added = planted.ARTIFACTS[artifact](pattern, natural(normal))
    signs = np.sign(added / pattern).reshape(4, -1)
    assert ((signs > 0).mean(1) > 0.2).all()
    assert ((signs < 0).mean(1) > 0.2).all()


@pytest.mark.parametrize("control", planted.CONTROLS)
def test_controls_keep_the_shape_and_change_little(control, normal):
    images = natural(normal)
    changed = planted.CONTROLS[control](np.random.default_rng(0), images)
    assert (changed.shape, changed.dtype) == (images.shape, np.float32)
    assert (np.abs(changed - images).max() > 0) == (control != "none")
    assert np.sqrt(((changed - images) ** 2).mean()) < 0.1


def test_shift_is_one_pixel_to_the_right(normal):
    images = natural(normal)
    shifted = planted.shifted(None, images)
    np.testing.assert_array_equal(shifted[:, :, 1:], images[:, :, :-1])


# Sets are scored as the public metrics score them.


@pytest.mark.parametrize(("period", "size"), [(2, 16), (4, 4), (8, 1)])
def test_pieces_combine_to_the_public_metrics(period, size, normal):
    targets = natural(normal, 16)
    outputs = targets + 0.1 * normal(16, 32, 32, 1)
    found = scores.set_scores(outputs, targets, period)
    for metric in scores.OURS:
        if metric == "lattice_power" and size == 1:
            assert (metric, size) not in found
            continue
        public = getattr(checkerboard, metric)
        sets = np.stack([outputs, targets]).reshape(2, -1, size, 32, 32, 1)
        expected = [public(*pair, period).item() for pair in sets.swapaxes(0, 1)]
        np.testing.assert_allclose(found[metric, size], expected, rtol=1e-3, atol=1e-6)


# What the metrics make of planted artifacts.


@pytest.mark.parametrize("period", PERIODS)
def test_constants_score_exactly_nothing(period):
    outputs = np.full((16, 32, 32, 1), 0.75, np.float32)
    found = scores.set_scores(outputs, outputs - 0.25, period)
    for metric in (*scores.OURS, "non_dc_energy", "bef"):
        assert not np.any(found[metric, 16])


@pytest.mark.parametrize("period", PERIODS)
def test_a_shifted_lattice_scores_the_same(period):
    pattern, blank = patterns(period, 1), np.full((16, 32, 32, 1), 0.5, np.float32)
    noise = np.random.default_rng(0).normal(size=blank.shape).astype(np.float32)
    values = []
    for shift in [(0, 0), (1, 0), (1, 3)]:
        rolled = np.roll(pattern, shift, (1, 2))
        outputs = blank + 0.01 * planted.tile(rolled, 16, (32, 32))
        found = scores.set_scores(outputs, blank, period)
        assert found["lattice_power", 16].item() == pytest.approx(1e-4, rel=1e-3)
        # The lattice's neighbours are empty there, so that a peak needs some noise.
        outputs += 0.01 * np.roll(noise, shift, (1, 2))
        peaks = scores.set_scores(outputs, blank, period)["lattice_peak_db", 16]
        values.append([found["phase_var_db", 16].item(), peaks.item()])
    np.testing.assert_allclose(values, values[:1] * 3, atol=0.05)


class Images:
    """A content, its base in both roles, and the scores of the negatives."""

    def __init__(self, content, halves):
        self.content = content
        self.targets = halves.reshape(-1, *halves.shape[2:])
        clean, self.base = (
            planted.base(np.random.default_rng(role), self.targets) for role in (0, 1)
        )
        self.negatives = {p: scores.set_scores(clean, self.targets, p) for p in PERIODS}

    def scores(self, artifact, period, amplitude=0.0):
        case = study.Case(artifact, period, amplitude)
        output = study.plant(case, self.content, self.base, self.targets)
        return scores.set_scores(output, self.targets, period)

    def areas(self, artifact, period, amplitude=0.0, size=16):
        """Area under the ROC curve of each metric for sets of this size."""
        positives = self.scores(artifact, period, amplitude)
        clusters = len(self.targets) // 2 // scores.SET_SIZE
        areas = {}
        for metric in scores.METRICS:
            pair = self.negatives[period], positives
            both = [found[metric, size].reshape(2, -1) for found in pair]
            areas[metric] = scores.crossover_auc(*both, clusters=clusters).auc
        return areas


@pytest.fixture(scope="module")
def leaves():
    size = {"image_size": (80, 80), "train_size": 2, "test_size": 48}
    images = caejax.data.load("dead_leaves", **size).test.images
    quarters = images.reshape(48, 2, 40, 2, 40, 1).swapaxes(2, 3)
    return Images("dead_leaves", quarters.reshape(2, 96, 40, 40, 1))


@pytest.fixture
def photographs(data_dir):
    # Of the leaves' shape, so that nothing is compiled twice.
    halves = study.photographs(data_dir("bsds500"), 6)[:, :, :40, :40]
    return Images("bsds500", halves)


def check_seen(images):
    for period in PERIODS:
        for artifact, amplitude, metric in tables.TARGETS:
            area = images.areas(artifact, period, amplitude)[metric]
            assert area >= 0.95, (artifact, period, area)


def check_controls(images):
    """Lattice metrics take no side; those of phases at least raise no alarm.

    Noise and sharpening even out the phases' powers: `phase_var_db` falls. Sets of 4,
    so that few images make enough sets for areas near one half.
    """
    for case in itertools.product(["noise", "blur", "sharpen"], PERIODS):
        areas = images.areas(*case, size=4)
        assert abs(areas["lattice_peak_db"] - 0.5) <= 0.1, (case, areas)
        assert abs(areas["lattice_power"] - 0.5) <= 0.1, (case, areas)
        assert areas["phase_var_db"] <= 0.6, (case, areas)
        assert areas["phase_var_cv"] <= 0.6, (case, areas)


def test_planted_artifacts_are_seen_on_dead_leaves(leaves):
    check_seen(leaves)


def test_controls_are_not_seen_on_dead_leaves(leaves):
    check_controls(leaves)


def test_planted_artifacts_are_seen_on_photographs_and_controls_are_not(photographs):
    check_seen(photographs)
    check_controls(photographs)


@pytest.mark.parametrize(
    ("artifact", "metrics", "least"),
    [
        ("tone", ("lattice_peak_db", "lattice_power"), 0),
        # Below, a maximum over a minimum of few images is mostly their noise.
        ("low_pass", ("phase_var_db", "phase_var_cv"), 0.01),
    ],
)
def test_scores_grow_with_the_amplitude(artifact, metrics, least, leaves):
    for period in PERIODS:
        found = [
            leaves.scores(artifact, period, amplitude)
            for amplitude in study.AMPLITUDES
            if amplitude >= least
        ]
        for metric in metrics:
            values = [values[metric, 16].mean() for values in found]
            assert (np.diff(values) > 0).all(), (period, values)


def test_white_noise_fools_azimuthal_power(leaves):
    assert leaves.areas("noise", 2)["azimuthal_db"] > 0.95


# The study.


def test_patches_tile_a_photograph(tmp_path):
    """Reduced by 2, in rows; what fills no patch is dropped."""
    pixels = np.random.default_rng(0).integers(256, size=(70, 100), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    cut = study.patches(tmp_path / "a.png", 16)
    half = pixels[:64, :96].reshape(32, 2, 48, 2).mean((1, 3)) / 255
    assert cut.shape == (6, 16, 16, 1)
    np.testing.assert_allclose(cut[1, ..., 0], half[:16, 16:32], atol=1e-6)
    np.testing.assert_allclose(cut[3, ..., 0], half[16:, :16], atol=1e-6)


def test_halves_share_no_photograph(tmp_path):
    """Flat photographs of one grey each."""
    for grey in range(20):
        pixels = np.full((256, 256), 10 * grey, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{grey}.png")
    halves = study.photographs(tmp_path, sets=64)
    assert halves.shape == (2, 2 * 16, 64, 64, 1)
    greys = [set(half.mean((1, 2, 3)).round(3)) for half in halves]
    assert not greys[0] & greys[1]
    assert len(greys[0] | greys[1]) > 15


def test_all_drawn_cases_are_cases():
    cases = list(study.cases())
    assert len(set(cases)) == len(cases) == 3 * 3 * 6 + 2 * 6 + 6 * 3
    shown = [case for row in study.figures.EXAMPLES.values() for case in row]
    assert {*study.figures.ROC_CASES, *shown} < set(cases)


def test_what_is_planted_is_shown_faint_and_as_a_checkerboard(normal):
    """Of period 2 no stripes; the faintest patterns of the targets are among them."""
    shown = study.examples("bsds500", natural(normal, 16)[None])
    of_two = {name[0] for name in shown if len(name) == 3 and name[1] == 2}
    assert of_two == {"checker_tone", "checker_low_pass"}
    added = shown["checker_tone", 2, 0.01] - shown["base"]
    np.testing.assert_allclose(added[:2, :2, 0], [[0.01, -0.01], [-0.01, 0.01]], 1e-4)
    with paper_style():
        figure = study.figures.planted(shown, "bsds500")
    titles = [axis.get_title() for axis in figure.axes[:5]]
    assert titles[2:] == ["base + ±1, S = 2", "base + S = 4", "base + S = 8"]
    rows = [axis.get_ylabel() for axis in figure.axes[::5]]
    assert rows[0] == "constant tone,\na = 0.01: 2.55 of 255"
    plt.close(figure)


def test_the_readme_quotes_the_results():
    """Every row of its tables stands in results.md."""
    results = (FOLDER / "results.md").read_text().splitlines()
    readme = (FOLDER / "README.md").read_text().splitlines()
    quoted = [line for line in readme if line.startswith("|")]
    assert len(quoted) > 10
    assert set(quoted) <= set(results)


def test_figures_say_images_sets_and_what_amplitudes_are():
    rows = read_csv(FOLDER / "results.csv")
    said = study.figures.setting(rows, "bsds500")
    assert "bsds500, blurred by 1 pixel, white noise 0.01" in said
    assert "128 sets each of 16 images" in said
    assert "a: RMS of the pattern in images from 0 to 1" in said
    with paper_style():
        drawn = study.figures.controls(rows)
        assert "128 sets" in drawn.get_suptitle().replace("\n", " ")
        plt.close(drawn)
