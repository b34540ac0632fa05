"""Pictures of the pages, drawn from caejax's own functions."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from caejax.data import dead_leaves
from caejax.measure import measure
from caejax.metrics import phase_means, spectrum
from caejax.models.kinds import UPSAMPLING, layer_filter
from caejax.models.upsampling import Upsample
from caejax.report.style import COLORS, PAGE, head, paper_style, save

EVEN, ODD = COLORS[1], COLORS[4]
GREYS = 255


def write(folder: Path) -> None:
    """Draws all of them as PNG."""
    with paper_style():
        plt.rcParams["savefig.facecolor"] = "white"
        save(filters(), folder / "filters")
        save(constants(), folder / "constants")
        save(planted(), folder / "planted")
        save(mended(), folder / "mended")
    found_in_images(folder / "measure")


def filters():
    """Filters along one axis, a colour a phase."""
    kinds = ("deconv_k3", "deconv_k4", "nearest_k3", "bilinear_k3", "deconv_k3_fir")
    figure, axes = plt.subplots(1, len(kinds), figsize=(PAGE, 1.9), sharey=True)
    rng = np.random.default_rng(4)
    for ax, name in zip(axes, kinds, strict=True):
        found = UPSAMPLING[name]
        taps = rng.uniform(0.2, 1, found.kernel_size).astype(np.float32)
        kernel = jnp.asarray(np.outer(taps, taps)[..., None, None])
        h = np.asarray(layer_filter(kernel, found))[..., 0, 0].sum(0)
        h = h / h.sum() * 2
        places = found.origin + np.arange(len(h))
        ax.bar(places, h, color=[ODD if x % 2 else EVEN for x in places])
        gains = [h[places % 2 == p].sum() for p in (0, 1)]
        ax.set_title(f"{name}\n{gains[0]:.2f} and {gains[1]:.2f}")
        ax.set_xticks(places[::2])
    axes[0].set_ylabel("tap (sum: 2)")
    figure.supxlabel("output pixels from the input pixel", fontsize=8)
    told = "random taps; above each the gains of the even phase (blue)"
    head(figure, f"{told} and of the odd one (orange)")
    return figure


def constants():
    """What three untrained stages make of a constant code, on one scale."""
    kinds = ("deconv_k3", "deconv_k4", "nearest_k3")
    figure, axes = plt.subplots(1, len(kinds), figsize=(PAGE, 2.4))
    images = []
    for kind in kinds:
        x = _three_stages(jnp.ones((1, 8, 8, 8)), jax.random.key(3), kind)
        images.append(np.asarray(x)[0, 16:-16, 16:-16, 0])
    images = [image - image.mean() for image in images]
    largest = max(np.abs(image).max() for image in images)
    for ax, kind, image in zip(axes, kinds, images, strict=True):
        shown = ax.imshow(image, vmin=-largest, vmax=largest)
        rounding = " (rounding)" * bool(image.std() < 1e-5)
        ax.set_title(f"{kind}\nRMS {image.std():.2g}{rounding}")
        ax.set_axis_off()
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.8)
    bar.set_label("output minus its mean")
    head(figure, "three untrained stages; the code is 1 everywhere, in all 8 channels")
    return figure


@functools.partial(jax.jit, static_argnames="kind")
def _three_stages(x, key, kind):
    for stage, features in enumerate((8, 8, 1)):
        layer = Upsample(features=features, kind=kind)
        x, _ = layer.init_with_output(jax.random.fold_in(key, stage), x)
        x = jax.nn.relu(x) if features > 1 else x
    return x


def planted():
    """A pattern of period 4 on dead leaves, in space, in phases, in frequencies."""
    period, side, rms = 4, 64, 0.04
    _, test = dead_leaves.load(
        train_size=1, test_size=8, image_size=(side, side), channels=1, seed=0
    )
    target = np.asarray(test.images, np.float32)
    tile = np.random.default_rng(1).normal(size=(period, period))
    tile = rms * (tile - tile.mean()) / tile.std()
    pattern = np.tile(tile, (side // period,) * 2)[..., None].astype(np.float32)
    noise = np.random.default_rng(2).normal(0, rms, target.shape).astype(np.float32)
    residual = jnp.asarray(pattern + noise)
    figure, axes = plt.subplots(1, 4, figsize=(PAGE, 2.2))
    axes[0].imshow((target + residual)[0, ..., 0], vmin=0, vmax=1)
    axes[0].set_title("with pattern and noise,\n0 to 255")
    axes[1].imshow(residual[0, ..., 0], vmin=-4 * rms, vmax=4 * rms)
    axes[1].set_title(f"minus the target,\n±{4 * rms * GREYS:.0f} of 255")
    means = np.asarray(phase_means(residual, period).mean(0)[..., 0])
    most = np.abs(means).max()
    axes[2].imshow(means, vmin=-most, vmax=most)
    axes[2].set_title(f"means of its 4 x 4 phases,\n±{most * GREYS:.0f} of 255")
    power = np.asarray(spectrum(residual, period).mean(0))
    shown = np.log10(np.fft.fftshift(power) + 1e-6)
    axes[3].imshow(shown, vmin=-4.5, vmax=-1.5)
    axes[3].set_title("its spectrum: log10 share\nof power, −4.5 to −1.5")
    for ax in axes:
        ax.set_axis_off()
    told = f"pattern, noise: RMS {rms * GREYS:.0f} of 255 each; ranges: from black to"
    head(figure, f"{told} white; phases and spectrum: means of {len(target)} images")
    return figure


def mended():
    """Three stages before and after their phases are given one gain."""
    rng = np.random.default_rng(5)
    smooth = jax.image.resize(rng.normal(size=(1, 4, 4, 8)), (1, 12, 12, 8), "cubic")
    codes = {"a flat code": jnp.ones((1, 12, 12, 8)), "a code with content": smooth}
    figure, axes = plt.subplots(1, 4, figsize=(PAGE, 2.1))
    for pair, (name, code) in zip(axes.reshape(2, 2), codes.items(), strict=True):
        kinds = {"as it is": "deconv_k4", "mended": "deconv_k4_tied"}
        images = [
            _centre(_three_stages(code, jax.random.key(3), x)) for x in kinds.values()
        ]
        middle = np.mean([x.mean() for x in images])
        largest = max(np.abs(x - middle).max() for x in images)
        for ax, title, image in zip(pair, kinds, images, strict=True):
            shown = ax.imshow(image, vmin=middle - largest, vmax=middle + largest)
            ax.set_title(f"{name},\n{title}")
            ax.set_axis_off()
        bar = figure.colorbar(shown, ax=list(pair), shrink=0.7, pad=0.02)
        bar.set_label("output")
    told = "three untrained stages of deconv_k4; the flat code is 1 everywhere"
    head(figure, f"{told}; one grey scale for each pair")
    return figure


def _centre(images):
    return np.asarray(images)[0, 24:-24, 24:-24, 0]


def found_in_images(path):
    """What `caejax measure` draws of images with a pattern of period 4."""
    _, test = dead_leaves.load(
        train_size=1, test_size=6, image_size=(96, 96), channels=1, seed=3
    )
    tile = np.random.default_rng(1).normal(size=(4, 4))
    tile = 3 / 255 * (tile - tile.mean()) / tile.std()
    images = np.asarray(test.images, np.float32) * 0.8 + 0.1
    planted = images + np.tile(tile, (24, 24))[..., None].astype(np.float32)
    measure(planted.clip(0, 1), figure=path)
