"""How well do denoisers do on CBSD68, beside BM3D on the same noisy images?

    python -m experiments.denoiser.measure --data=DIR [--gray=RUN] [--color=RUN]

DIR holds the images of BSDS500 in folders train, val and test; RUN is the folder of a
finished run, or a model's file or name. Writes results.csv, a row for each image, level
and estimator, and results.md; rows that are there are kept, but for those of the models
that are named. Without one it measures BM3D alone, in grey and colour. `--nobm3d` does
not measure it. If it has been measured on some images only, the difference is of these.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from caejax.data.bsds500 import CBSD68
from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv
from caejax.inference import trained
from caejax.inference.trained import Trained
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.shared.cells import mean_and_interval
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row, distinct, rounded, select

HERE = Path(__file__).parent
LEVELS = (10, 15, 25, 35, 50)  # of 255
KINDS = {"gray": 1, "color": 3}
FEWEST = 10  # images of which a mean difference is told; BM3D takes a minute of each
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# What the papers report by level: Zhang et al. 2017 and 2018.
PUBLISHED = {
    "gray": {
        "BM3D, published": {15: 31.07, 25: 28.57, 50: 25.62},
        "DnCNN-B, published": {15: 31.61, 25: 29.16, 50: 26.23},
    },
    "color": {
        "CBM3D, published": {15: 33.52, 25: 30.71, 50: 27.38},
        "CDnCNN-B, published": {15: 33.89, 25: 31.23, 50: 27.92},
    },
}

Estimator = Callable[[np.ndarray, float], np.ndarray]


class Photograph(NamedTuple):
    """An image of CBSD68.

    Attributes:
      name: its number in BSDS500.
      clean: the image, (H, W, C) float64 in [0, 1], of whole grey levels.
    """

    name: str
    clean: np.ndarray


def photographs(folder: Path, kind: str) -> list[Photograph]:
    """Reads CBSD68 as it lies, in colour or as its luma.

    Args:
      folder: holds val, with the images as JPEG files.
      kind: "gray" or "color".
    """

    def read(name):
        with Image.open(folder / "val" / f"{name}.jpg") as image:
            values = np.asarray(image.convert("RGB"), np.float64)
        return Photograph(name, in_kind(values, kind))

    try:
        return [read(name) for name in CBSD68]
    except OSError as error:
        raise CaejaxError(f"cannot read CBSD68 in {folder}: {error}") from error


def in_kind(values: np.ndarray, kind: str) -> np.ndarray:
    """Colours (H, W, 3) in [0, 255] as (H, W, C) in [0, 1], of whole grey levels."""
    if kind == "gray":
        values = (values @ LUMA).round()[..., None]
    return values / 255


def noisy(photograph: Photograph, level: float) -> np.ndarray:
    """Adds noise that depends on the image's number and on the level alone.

    Args:
      photograph: the image.
      level: the standard deviation in grey levels of 255.

    Returns:
      (H, W, C) float64, not clipped.
    """
    return with_noise(photograph.clean, int(photograph.name), level)


def with_noise(clean: np.ndarray, number: int, level: float) -> np.ndarray:
    """Adds noise of `level` of 255 that a number and the level alone decide."""
    rng = np.random.default_rng((number, level))
    return clean + level / 255 * rng.normal(size=clean.shape)


def psnr(output: np.ndarray, clean: np.ndarray) -> float:
    """PSNR in dB of an output that is clipped to [0, 1] and not rounded."""
    return float(-10 * np.log10(np.mean((output.clip(0, 1) - clean) ** 2)))


def of_run(run: Path) -> Estimator:
    """What the model of a run, or of a file, makes of images, each as a whole."""
    return of_model(trained.find(run))


def of_model(model: Trained) -> Estimator:
    """What a model makes of images, each as a whole."""
    reconstruct = trained.reconstruct(model)

    def denoise(image, level):
        del level
        return np.asarray(reconstruct(image[None].astype(np.float32)))[0]

    return denoise


def bm3d(image: np.ndarray, level: float) -> np.ndarray:
    """BM3D, or CBM3D in colour, told the true level; of the package bm3d."""
    import bm3d as package

    run = package.bm3d if image.shape[-1] == 1 else package.bm3d_rgb
    return run(image, level / 255).reshape(image.shape)


def measure(
    rows: list[Row],
    kind: str,
    estimators: dict[str, Estimator],
    data: Path,
    out: Path,
    limit: int = len(CBSD68),
) -> None:
    """Adds a row for each image, level and estimator that has none, and writes them.

    Args:
      rows: the rows that there are, to which others are added.
      kind: "gray" or "color".
      estimators: what denoises, by name.
      data: as for `photographs`.
      out: the folder of results.csv.
      limit: so many of the images alone.
    """
    for photograph in photographs(data, kind)[:limit]:
        for level in LEVELS:
            image = noisy(photograph, level)
            for name, estimator in estimators.items():
                key = {
                    "kind": kind,
                    "level": level,
                    "estimator": name,
                    "image": int(photograph.name),
                }
                if select(rows, **key):
                    continue
                began = time.perf_counter()
                output = estimator(image, level)
                seconds = time.perf_counter() - began
                values = {"psnr": psnr(output, photograph.clean), "seconds": seconds}
                rows.append(rounded(key | values, ".6g", seconds=".3g"))
        write_csv(out / "results.csv", rows)
        print(f"{kind}: {photograph.name}", flush=True)


def table(rows: list[Row]) -> str:
    """Mean PSNR by estimator and level, beside what papers report.

    Where both are measured, also how far caejax is ahead of BM3D.
    """
    lines = []
    for kind in distinct(rows, "kind"):
        for name in distinct(select(rows, kind=kind), "estimator"):
            lines.append([kind, name, *cells(means(rows, kind, name), ".3f")])
        lines += [
            [kind, name, *cells(values, ".2f")]
            for name, values in PUBLISHED[kind].items()
        ]
        lines += lead_rows(rows, kind) + _against_published(rows, kind)
    return to_markdown(["images", "estimator", *(f"{x} / 255" for x in LEVELS)], lines)


def lead_rows(rows: list[Row], kind: str) -> list[list[str]]:
    """A row of how far caejax is ahead of BM3D, with intervals over images.

    None of a level where fewer than `FEWEST` images have been measured with both.
    """
    found = [[*leads(rows, kind, level).values()] for level in LEVELS]
    images = min((len(x) for x in found if len(x) >= FEWEST), default=0)
    if not images:
        return []
    of = "" if images == len(CBSD68) else f" of {images} images"
    ahead = [
        mean_and_interval(np.array(x[:images]), ".3f") if len(x) >= images else "–"
        for x in found
    ]
    return [[kind, f"caejax - BM3D, paired{of} [95 %]", *ahead]]


def _against_published(rows, kind):
    """Means of caejax minus those published of DnCNN-B, which are of other noise."""
    name, theirs = next(x for x in PUBLISHED[kind].items() if "DnCNN" in x[0])
    ours = means(rows, kind, "caejax")
    ahead = {x: ours[x] - theirs[x] for x in theirs if x in ours}
    return [[kind, f"caejax - {name}", *cells(ahead, ".2f")]] if ahead else []


def leads(rows: list[Row], kind: str, level: int) -> dict[Any, float]:
    """PSNR of caejax minus that of BM3D in dB, by the image's name."""
    ours, theirs = (by_image(rows, kind, x, level) for x in ("caejax", "BM3D"))
    return {image: ours[image] - theirs[image] for image in ours if image in theirs}


def by_image(rows: list[Row], kind: str, name: str, level: int) -> dict[Any, float]:
    """PSNR in dB of an estimator, by the image's name."""
    found = select(rows, kind=kind, estimator=name, level=level)
    return {row["image"]: float(row["psnr"]) for row in found}


def means(rows: list[Row], kind: str, name: str) -> dict[int, float]:
    """Mean PSNR in dB of an estimator by level, where all images are measured."""
    found = {level: by_image(rows, kind, name, level) for level in LEVELS}
    return {
        level: float(np.mean([*values.values()]))
        for level, values in found.items()
        if len(values) == len(CBSD68)
    }


def cells(values: Mapping[int, float], spec: str) -> list[str]:
    """Values by level as a table's cells, a dash where there is none."""
    return [format(values[x], spec) if x in values else "–" for x in LEVELS]


def main() -> int:
    """Parses the command line and runs."""
    parser = create_parser(__doc__, HERE)
    parser.add_argument("--data", type=Path, required=True, help="images of BSDS500")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help=f"a finished run, {kind}")
    parser.add_argument("--nobm3d", dest="bm3d", action="store_false")
    parser.add_argument(
        "--limit", type=int, default=len(CBSD68), help="so many images alone, for a try"
    )
    args = parser.parse_args()
    start(cores=1)
    rows = read_csv(args.out / "results.csv", numbers=("psnr",))
    named = [kind for kind in KINDS if getattr(args, kind) is not None]
    for kind in named or KINDS:
        run = getattr(args, kind)
        if run is not None:
            rows = [
                row
                for row in rows
                if (row["kind"], row["estimator"]) != (kind, "caejax")
            ]
        estimators: dict[str, Estimator] = {"noisy": lambda image, level: image}
        if run is not None:
            estimators["caejax"] = of_run(run)
        if args.bm3d:
            estimators["BM3D"] = bm3d
        measure(rows, kind, estimators, args.data, args.out, args.limit)
    (args.out / "results.md").write_text(table(rows))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main, GOES_ON))
