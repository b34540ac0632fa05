"""Do sizes, ramps, shifts and visibility measure what is planted, and what is a margin?

    python -m experiments.metric_validation.patterns --data=DIR

DIR holds the BSDS500 photographs in the folders train, val and test. Writes
patterns.csv, margins.csv and patterns.md: what is planted against what is measured, and
how far a pattern of known size moves each measure on the residuals of a model that this
trains, from which the margins of `caejax.report.equivalence` are taken.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import caejax
from caejax.files.csv_files import write_csv
from caejax.inference.trained import corrupt, load
from caejax.metrics import units
from caejax.metrics.evaluator import compare
from caejax.metrics.probes import spread
from caejax.metrics.responses import Responses, responses
from caejax.metrics.shifts import shift_power
from caejax.metrics.table import METRICS, PERIODS, finish_of, function_of
from caejax.metrics.visibility import pattern_visibility
from caejax.ops.images import as_float
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.training.images import load_images
from experiments.metric_validation import planted
from experiments.shared import machine
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, rounded, select

GREYS = (0.25, 0.5, 1.0, 2.0, 4.0)  # sizes planted, RMS in grey levels of 255
ONE_GREY = 1.0  # the least step of a stored image, which a margin is taken at
PATTERNS = 4  # random ones of each period
MARGIN_OF = ("psnr", "ssim", "phase_var_db", "lattice_peak_db")
FORMATS = {"planted": ".6g", "measured": ".6g", "expected": ".6g", "change": ".5g"}


# Decoders and models by hand, in which something is planted.


def nearest(code: jax.Array) -> jax.Array:
    """Eight times as large, each pixel copied."""
    return code.repeat(8, 1).repeat(8, 2)


def smooth(code: jax.Array) -> jax.Array:
    """Eight times as large by three bilinear resizes, which are exact on ramps."""
    for _ in range(3):
        size = (len(code), 2 * code.shape[1], 2 * code.shape[2], code.shape[3])
        code = jax.image.resize(code, size, "bilinear")
    return code


def tiled(pattern: np.ndarray, like: jax.Array) -> jax.Array:
    """A pattern's period (S, S) all over images (B, H, W, C)."""
    repeats = [-(-side // len(pattern)) for side in like.shape[1:3]]
    whole = jnp.tile(jnp.asarray(pattern), repeats)
    return whole[None, : like.shape[1], : like.shape[2], None]


def doubled(code: jax.Array) -> jax.Array:
    """Bilinear to a quarter of the size, then nearest by 2: steps of two pixels."""
    for _ in range(2):
        size = (len(code), 2 * code.shape[1], 2 * code.shape[2], code.shape[3])
        code = jax.image.resize(code, size, "bilinear")
    return code.repeat(2, 1).repeat(2, 2)


def decoder_rows(codes: np.ndarray) -> Iterator[Row]:
    """Patterns on constants and steps on ramps, and what is neither.

    Args:
      codes: mean greys of photographs, (N, 1, 1, 1).
    """
    soft, steps = (
        responses(decode, jnp.asarray(codes)) for decode in (smooth, doubled)
    )
    rng = np.random.default_rng(0)
    for period in PERIODS:
        pattern = planted.unit_pattern(rng, period)
        for grey in GREYS:
            added = grey / 255 * tiled(pattern, soft.flat)
            drawn = _of(soft, lambda x, added=added: x + added)
            seen = float(pattern_visibility(jnp.asarray(pattern)[..., None]))
            found = _values(drawn, period)
            about = period, grey
            yield _row("dc_ripple_grey", "pattern", *about, found, grey)
            yield _row("ripple_visibility", "pattern", *about, found, grey / 255 * seen)
            # What does not depend on the code is none of the ramp's.
            what = "control: pattern on constants"
            yield _row("ramp_ripple_db", what, *about, found, -200.0)
    for share in (1.0, 0.5, 0.25, 0.1, 0.01):
        mixed = dataclasses.replace(
            soft,
            flat=(1 - share) * soft.flat + share * steps.flat,
            ramp=(1 - share) * soft.ramp + share * steps.ramp,
        )
        found, what = _values(mixed, 2), "steps of two pixels"
        expected = 20 * np.log10(share / 2)
        yield _row("ramp_ripple_db", what, 2, share, found, expected)
        yield _row("dc_ripple_db", f"control: {what}", 2, share, found, -200.0)
    controls = {
        "control: none": lambda x: x,
        "control: contrast": lambda x: 3 * x - 0.4,
        "control: gamma 1.5": lambda x: jnp.abs(x) ** 1.5,
        "control: blur": _blurred,
    }
    for name, change in controls.items():
        for period in PERIODS:
            found = _values(_of(soft, change), period)
            for measure in ("ramp_ripple_db", "dc_ripple_db"):
                yield _row(measure, name, period, 0.0, found, -200.0)


def _of(images: Responses, change) -> Responses:
    return images.behind(change)


def _values(images: Responses, period: int) -> dict[str, float]:
    """The decoder's metrics, by name, as the table has them."""
    found = {}
    for metric in METRICS.values():
        if metric.needs in ("decoder", "ramps", "shown") and "ripple" in metric.name:
            each = function_of(metric)(images, period)
            means = jax.tree.map(lambda x: float(x.mean()), each)
            found[metric.name] = finish_of(metric)(means)
    return found


def _blurred(images):
    kernel = jnp.array([1.0, 2.0, 1.0]) / 4
    for axis in (1, 2):
        width = [(0, 0)] * 4
        width[axis] = (1, 1)
        x = jnp.pad(images, width, mode="edge")
        parts = [
            jax.lax.slice_in_dim(x, i, i + images.shape[axis], axis=axis)
            for i in range(3)
        ]
        images = sum(w * part for w, part in zip(kernel, parts, strict=True))
    return images


def shift_rows(images: np.ndarray) -> Iterator[Row]:
    """A pattern that stays where it is while the image moves, and what moves along.

    Args:
      images: photographs, (N, H, W, 1).
    """
    images, rng = jnp.asarray(images), np.random.default_rng(1)
    for period in PERIODS:
        pattern = planted.unit_pattern(rng, period)
        # Against itself, one pixel on: the mean of both directions.
        moved = [np.roll(pattern, 1, axis) - pattern for axis in (0, 1)]
        size = np.sqrt(np.mean([(part**2).mean() for part in moved]))
        for grey in GREYS:

            def standing(x, grey=grey, pattern=pattern):
                return x + grey / 255 * tiled(pattern, x)

            found = _shift_error(standing, images)
            yield _row("shift_error_grey", "pattern", period, grey, found, grey * size)
    controls = {
        "control: none": lambda x: x,
        "control: blur": _blurred,
        "control: sharpen": lambda x: 2 * x - _blurred(x),
        "control: contrast": lambda x: 0.8 * x + 0.1,
    }
    for name, restore in controls.items():
        found = _shift_error(restore, images)
        yield _row("shift_error_grey", name, 0, 0.0, found, 0.0)


def _shift_error(restore, images):
    power = float(shift_power(restore, images).mean())
    return {"shift_error_grey": units.grey_levels(power)}


def _row(measure, what, period, planted, measured, expected):
    return {
        "measure": measure,
        "what": what,
        "period": period,
        "planted": planted,
        "measured": measured[measure],
        "expected": float(expected),
    }


# Margins, on residuals of a model.


def trained_outputs(data: Path, epochs: int) -> tuple[np.ndarray, ...]:
    """Clean, noisy and denoised test patches of photographs, (N, 48, 48, 1) each.

    The model is a small one with `nearest_k3`, clean on constants by construction; what
    it leaves are real residuals without a pattern of the decoder's own.
    """
    config = caejax.default_config()
    config.data.source, config.data.dir = "folder", str(data)
    config.data.image_size, config.data.channels = 48, 1
    config.data.reduce, config.data.patches_per_image = 2, 8
    config.model.widths, config.model.latent_channels = (16, 32, 32), 16
    config.model.upsampling = "nearest_k3"
    config.corruption.level = 0.1
    config.loss = "mse"
    config.train.epochs, config.train.batch_size = epochs, 32
    config.optimizer.learning_rate = 3e-3
    with tempfile.TemporaryDirectory() as folder:
        caejax.train(config, Path(folder) / "run")
        model = load(Path(folder) / "run")
        images = load_images(model.config)["test"]
        index = spread(len(images), 200)
        clean = np.asarray(as_float(images[index]))
        noisy = np.asarray(corrupt(model, "test")(images[index], index))
        outputs = caejax.load(Path(folder) / "run").denoise(noisy)
    return clean, noisy, np.asarray(outputs, np.float32)


def margin_rows(
    clean: np.ndarray, noisy: np.ndarray, outputs: np.ndarray
) -> Iterator[Row]:
    """How far a pattern of known size moves each measure.

    The same pattern on all outputs; of low-pass modulated ones each image has its own
    sign. Nothing is clipped but what a screen would clip.
    """
    before = compare(outputs, noisy, clean).values
    rng = np.random.default_rng(2)
    for artifact in ("tone", "low_pass"):
        for period in PERIODS:
            for number in range(PATTERNS):
                pattern = planted.unit_pattern(rng, period)
                whole = planted.tile(pattern[None], len(clean), clean.shape[1:3])
                unit = planted.ARTIFACTS[artifact](whole, clean)
                for grey in GREYS:
                    after = compare(outputs + grey / 255 * unit, noisy, clean).values
                    about = {"artifact": artifact, "period": period, "pattern": number}
                    about |= {"planted": grey}
                    for name in MARGIN_OF:
                        key = name if name in before else f"{name}_s{period}"
                        change = after[key] - before[key]
                        yield {**about, "measure": name, "change": change}
                    found = after[f"lattice_grey_s{period}"]
                    yield {**about, "measure": "lattice_grey", "change": found}


def changes(rows: Sequence[Row]) -> list[Row]:
    """The mean change over patterns, with the least and the largest."""
    found: dict[tuple, list[float]] = {}
    for row in rows:
        key = row["measure"], row["artifact"], row["period"], row["planted"]
        found.setdefault(key, []).append(row["change"])
    names = ("measure", "artifact", "period", "planted")
    return [
        dict(zip(names, key, strict=True))
        | {"change": np.mean(x), "low": np.min(x), "high": np.max(x)}
        for key, x in found.items()
    ]


def margins(rows: Sequence[Row]) -> dict[str, float]:
    """The mean change by a tone of one grey level, of the period where it is least.

    The smallest step of a stored image: what moves a measure by less is a pattern that
    no 8-bit file can hold.
    """
    found = {}
    for name in MARGIN_OF:
        wanted = {"measure": name, "planted": ONE_GREY, "artifact": "tone"}
        found[name] = min(abs(r["change"]) for r in select(changes(rows), **wanted))
    return found


# Tables.


def report(checked: Sequence[Row], moved: Sequence[Row], psnr: float) -> str:
    """All tables."""
    lines = [
        [r["measure"], r["what"], str(r["period"] or ""), f"{r['planted']:g}"]
        + [f"{r['expected']:.4g}", f"{r['measured']:.4g}"]
        for r in checked
    ]
    header = ["measure", "planted", "S", "size", "expected", "measured"]
    parts = ["Written by patterns.py.\n", "## Planted and measured\n"]
    parts += ["Sizes are RMS in grey levels; shares of steps in the output.\n"]
    parts += [to_markdown(header, lines), "## Sizes that can just be seen\n"]
    parts += ["Visibility 1, of a random pattern of the period: median of 200.\n"]
    parts += [visible_sizes(), "## What a pattern moves on real residuals\n"]
    parts += [
        f"Test patches of BSDS500 denoised by a trained `nearest_k3` ({psnr:.2f} dB "
        f"PSNR): mean change over {PATTERNS} random patterns [least, largest].\n"
    ]
    for name in (*MARGIN_OF, "lattice_grey"):
        some = select(changes(moved), measure=name)
        kinds = list(dict.fromkeys((r["artifact"], r["period"]) for r in some))
        lines = []
        for artifact, period in kinds:
            cells = [
                f"{r['change']:.4f} [{r['low']:.4f}, {r['high']:.4f}]"
                for r in select(some, artifact=artifact, period=period)
            ]
            lines.append([artifact, str(period), *cells])
        header = ["artifact", "S", *(f"{grey:g} grey" for grey in GREYS)]
        parts += [f"### {name}\n", to_markdown(header, lines)]
    lines = [[name, f"{value:.3g}"] for name, value in margins(moved).items()]
    text = (
        "The mean change by a tone of one grey level, at the period where it is least."
    )
    parts += ["## Margins\n", f"{text}\n"]
    return "\n".join([*parts, to_markdown(["measure", "margin"], lines)])


def visible_sizes() -> str:
    """RMS, in grey levels, of patterns that are just visible."""
    rng, lines = np.random.default_rng(3), []
    for period in PERIODS:
        unit = np.stack([planted.unit_pattern(rng, period) for _ in range(200)])
        seen = np.asarray(pattern_visibility(jnp.asarray(unit)[..., None])) / 255
        sizes = 1 / seen
        low, high = np.percentile(sizes, [2.5, 97.5])
        lines.append(
            [str(period), f"{np.median(sizes):.2f}", f"{low:.2f} to {high:.2f}"]
        )
    return to_markdown(["S", "grey levels", "95 % of patterns"], lines)


def main(argv: list[str] | None = None) -> None:
    """Runs the study."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    parser.add_argument("--data", type=Path, required=True, help="BSDS500's folder")
    parser.add_argument("--epochs", type=int, default=5, help="of the model")
    args = parser.parse_args(argv)
    if not args.data.is_dir():
        parser.error(f"--data={args.data} is no folder")
    start(cores=0, cache=False)
    began = time.perf_counter()
    clean, noisy, outputs = trained_outputs(args.data, args.epochs)
    psnr = compare(outputs, noisy, clean).values["psnr"]
    codes = clean.mean((1, 2, 3), keepdims=True)[:64]
    checked = [*decoder_rows(codes), *shift_rows(clean[:64])]
    moved = list(margin_rows(clean, noisy, outputs))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("patterns", checked), ("margins", changes(moved))):
        kept = [rounded(row, ".5g", **FORMATS) for row in rows]
        write_csv(args.out / f"{name}.csv", kept)
    (args.out / "patterns.md").write_text(report(checked, moved, psnr))
    print(machine.elapsed(time.perf_counter() - began))


if __name__ == "__main__":
    main()
