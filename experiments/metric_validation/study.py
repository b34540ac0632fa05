"""Do the metrics see planted artifacts, and only these?

    python -m experiments.metric_validation.study --data=DIR

DIR holds the BSDS500 photographs in the folders train, val and test; without it the
study runs on drawn images alone. Writes results.csv, results.md and the figures.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import caejax.data
from caejax.data.pictures import read_image, suffixes
from caejax.files.csv_files import write_csv
from caejax.metrics.lattice import peak_db, spectrum
from caejax.metrics.table import PERIODS
from caejax.runtime.startup import start
from experiments.metric_validation import figures, planted, tables
from experiments.metric_validation.scores import (
    METRICS,
    SET_SIZE,
    SET_SIZES,
    Scores,
    crossover_auc,
    crossover_roc,
    set_scores,
)
from experiments.shared import machine
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, rounded

SETS = 64  # a half of each content
AMPLITUDES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
SIZES = {"bsds500": 64, "dead_leaves": 64, "glyphs": 32}
REDUCE = 2  # area averaging of photographs
BASE = f"blur{planted.BASE_BLUR:g}+noise{planted.BASE_NOISE:g}"

# Of columns of results.csv whose floats have other digits than areas.
FORMATS = {"amplitude": "g", "negative": ".4g", "positive": ".4g"}


class Case(NamedTuple):
    """What is done to a base at one period: a planted artifact, or a control."""

    artifact: str
    period: int
    amplitude: float  # 0 for controls


# Images.


def photographs(folder: Path, sets: int) -> np.ndarray:
    """Disjoint grey patches, (2, sets * 16, 64, 64, 1): two halves of the photographs.

    No photograph has patches in both halves. Fewer sets if there are too few.
    """
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in suffixes()]
    if not paths:
        raise SystemExit(f"no photograph in {folder}: --data names BSDS500's folder")
    rng = np.random.default_rng(0)
    paths = [sorted(paths)[i] for i in rng.permutation(len(paths))]
    halves = [_cut(half, sets * SET_SIZE) for half in (paths[::2], paths[1::2])]
    sets = min(len(half) // SET_SIZE for half in halves)
    if sets < 2:
        raise SystemExit(f"too few photographs in {folder}: add at least 16")
    return np.stack([rng.permutation(half)[: sets * SET_SIZE] for half in halves])


def _cut(paths, count):
    """At least count patches, of as many photographs as that takes."""
    found = []
    for path in paths:
        found.extend(patches(path, SIZES["bsds500"]))
        if len(found) >= count:
            break
    return np.stack(found[:count])


def patches(path: Path, size: int) -> np.ndarray:
    """All disjoint grey patches of a photograph, reduced by area averaging."""
    image = read_image(path, 1, name=str(path))
    step = REDUCE * size
    rows, columns = (side // step for side in image.shape[:2])
    blocks = image[: rows * step, : columns * step]
    blocks = blocks.reshape(rows, size, REDUCE, columns, size, REDUCE).mean((2, 5))
    return blocks.swapaxes(1, 2).reshape(-1, size, size, 1)


def drawn(source: str, sets: int) -> np.ndarray:
    """Generated images, (2, sets * 16, H, W, 1)."""
    count, size = sets * SET_SIZE, SIZES[source]
    data = caejax.data.load(
        source, image_size=(size, size), train_size=2, test_size=2 * count
    )
    return data.test.images.reshape(2, count, size, size, 1)


# Scores.


def stream(content: str, *where: int) -> np.random.Generator:
    """Random numbers that depend on the content and the place of use only."""
    return np.random.default_rng([list(SIZES).index(content), *where])


def cases() -> Iterator[Case]:
    """All planted artifacts, then all controls."""
    for artifact in planted.ARTIFACTS:
        for period in PERIODS:
            for amplitude in AMPLITUDES:
                yield Case(artifact, period, amplitude)
    for artifact in ("tone", "low_pass"):
        for amplitude in AMPLITUDES:
            yield Case(f"checker_{artifact}", 2, amplitude)
    for control in planted.CONTROLS:
        for period in PERIODS:
            yield Case(control, period, 0.0)


def plant(
    case: Case, content: str, base: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """The base with an artifact, or after a control: (N, H, W, 1).

    One draw of patterns serves all artifacts and amplitudes of a period.
    """
    if case.artifact in planted.CONTROLS:
        control = list(planted.CONTROLS).index(case.artifact)
        change = planted.CONTROLS[case.artifact]
        return change(stream(content, 2, control), base)
    kind = case.artifact.removeprefix("checker_")
    sets = len(base) // SET_SIZE
    if kind == case.artifact:
        patterns = planted.unit_patterns(
            stream(content, 1, case.period), sets, case.period
        )
    else:
        patterns = np.broadcast_to(planted.CHECKER, (sets, 2, 2))
    pattern = planted.tile(patterns, SET_SIZE, base.shape[1:3])
    artifact = planted.ARTIFACTS[kind](pattern, targets)
    return base + np.float32(case.amplitude) * artifact


def compare(negatives: Scores, positives: Scores, case: Case) -> Iterator[Row]:
    """A row for each metric and set size, with the median scores of both roles."""
    for size in SET_SIZES:
        for metric in METRICS:
            if (metric, size) not in negatives:
                continue
            both = [s[metric, size].reshape(2, -1) for s in (negatives, positives)]
            area = crossover_auc(*both, clusters=both[0].shape[1] * size // SET_SIZE)
            yield {
                **case._asdict(),
                "metric": metric,
                "set_size": size,
                "sets": area.sets,
                "auc": area.auc,
                "low": area.low,
                "high": area.high,
                "negative": np.median(both[0]),
                "positive": np.median(both[1]),
            }


def measure(content: str, halves: np.ndarray) -> tuple[list[Row], dict]:
    """All rows of one content, and the ROC curves of the cases that are drawn."""
    targets = halves.reshape(-1, *halves.shape[2:])
    # The roles differ in noise: no output is in both.
    clean, base = (planted.base(stream(content, 0, role), targets) for role in range(2))
    negatives = {period: set_scores(clean, targets, period) for period in PERIODS}
    rows, curves = [], {}
    for case in cases():
        output = plant(case, content, base, targets)
        positives = set_scores(output, targets, case.period)
        for row in compare(negatives[case.period], positives, case):
            rows.append({"content": content, "base": BASE, **row})
        if case in figures.ROC_CASES:
            for metric in METRICS:
                key = metric, SET_SIZE
                both = (negatives[case.period][key], positives[key])
                curve = crossover_roc(*(scores.reshape(2, -1) for scores in both))
                curves[case, metric] = curve
    return rows, curves


def examples(content: str, halves: np.ndarray) -> dict[str | Case, np.ndarray]:
    """The first image of a content, its base, and the planted artifacts to draw."""
    targets = halves[0, :SET_SIZE]
    base = planted.base(stream(content, 0, 0), targets)
    cases = [Case(*case) for row in figures.EXAMPLES.values() for case in row]
    images = {case: plant(case, content, base, targets) for case in cases}
    images |= {"target": targets, "base": base}
    return {name: values[0] for name, values in images.items()}


def own_peaks(halves: np.ndarray) -> dict[int, float]:
    """`lattice_peak_db` of the targets themselves, by period."""
    targets = halves.reshape(-1, *halves.shape[2:])
    return {
        period: float(peak_db(spectrum(targets, period).mean(0), period))
        for period in PERIODS
    }


def main(argv: list[str] | None = None) -> None:
    """Runs the study."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    parser.add_argument("--data", type=Path, help="BSDS500's folder")
    parser.add_argument("--sets", type=int, default=SETS, help="sets in each half")
    args = parser.parse_args(argv)
    if args.data and not args.data.is_dir():
        parser.error(f"--data={args.data} is no folder")
    if args.sets < 2:
        parser.error("--sets must be at least 2")
    start(cores=1, cache=False)
    began = time.perf_counter()
    contents = {}
    if args.data:
        contents["bsds500"] = photographs(args.data, args.sets)
    else:
        print("No --data: on drawn images alone, without photographs.")
    for source in ("dead_leaves", "glyphs"):
        contents[source] = drawn(source, args.sets)
    rows, curves = [], {}
    for content, halves in contents.items():
        more, curves[content] = measure(content, halves)
        rows += more
        print(f"{content}: done after {time.perf_counter() - began:.0f} s")
    peaks = {content: own_peaks(halves) for content, halves in contents.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    kept = [rounded(row, ".4f", **FORMATS) for row in rows]
    write_csv(args.out / "results.csv", kept)
    (args.out / "results.md").write_text(tables.report(rows, peaks))
    shown = examples(*next(iter(contents.items())))
    figures.draw(rows, curves, shown, args.out)
    print(machine.elapsed(time.perf_counter() - began))


if __name__ == "__main__":
    main()
