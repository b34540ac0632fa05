"""How do denoisers do on other photographs than the JPEG files they were trained on?

    python -m experiments.denoiser.elsewhere [--gray=RUN] [--color=RUN]

The photographs are those that come with scikit-image, each as it is and halved, whose
colours are as fine as their greys. RUN is as for `experiments.denoiser.measure`, and by
default the model that ships. Writes elsewhere.csv, a row for each image, level and
estimator, and elsewhere.md, with the mean difference to BM3D on the same noisy images.
Rows that are there are kept, but for those of models that are named.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from caejax.files.csv_files import read_csv, write_csv
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.denoiser.measure import (
    KINDS,
    LEVELS,
    bm3d,
    in_kind,
    leads,
    of_run,
    psnr,
    with_noise,
)
from experiments.shared.cells import mean_and_interval
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row, rounded, select

HERE = Path(__file__).parent
FILE = "elsewhere.csv"
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")
NAMES += ("rocket.jpg",)
FORMS = ("whole", "halved")
SIDE = 256  # of the middle that is taken, at most
MODELS = {"gray": "denoiser_gray", "color": "denoiser_color"}


def photograph(name: str, form: str, kind: str) -> np.ndarray:
    """The middle of one of scikit-image's photographs.

    Args:
      name: its file.
      form: "whole", or "halved" by Lanczos' filter.
      kind: "gray", which is its luma, or "color".

    Returns:
      (H, W, C) float64 in [0, 1], of whole grey levels.
    """
    import skimage

    with Image.open(Path(skimage.__file__).parent / "data" / name) as file:
        image = file.convert("RGB")
    if form == "halved":
        image = halved(image)
    return in_kind(middle(np.asarray(image, np.float64)), kind)


def halved(image: Image.Image) -> Image.Image:
    """An image at half its size, by Lanczos' filter."""
    half = image.width // 2, image.height // 2
    return image.resize(half, Image.Resampling.LANCZOS)


def middle(values: np.ndarray) -> np.ndarray:
    """The middle of an array (H, W, C), at most `SIDE` pixels high and wide."""
    top, left = (max(0, (side - SIDE) // 2) for side in values.shape[:2])
    return values[top : top + SIDE, left : left + SIDE]


def table(rows: list[Row]) -> str:
    """Means over images of PSNR, and of how far caejax is ahead of BM3D."""
    lines = []
    for kind in KINDS:
        for form in FORMS:
            some = select(rows, form=form)
            found = [[*leads(some, kind, level).values()] for level in LEVELS]
            if all(map(len, found)):
                cells = [mean_and_interval(np.array(x), ".2f") for x in found]
                lines.append([kind, form, *cells])
    header = ["images", "form", *(f"{x} / 255" for x in LEVELS)]
    return to_markdown(header, lines)


def main() -> int:
    """Parses the command line and runs."""
    parser = create_parser(__doc__, HERE)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help=f"a finished run, {kind}")
    args = parser.parse_args()
    start(cores=1)
    named = {kind for kind in KINDS if getattr(args, kind) is not None}
    rows = [
        row
        for row in read_csv(args.out / FILE, numbers=("psnr",))
        if row["estimator"] != "caejax" or row["kind"] not in named
    ]
    for kind in KINDS:
        run = of_run(getattr(args, kind) or Path(MODELS[kind]))
        for name in NAMES:
            for form in FORMS:
                clean = photograph(name, form, kind)
                for level in LEVELS:
                    image = with_noise(clean, zlib.crc32(name.encode()), level)
                    for estimator, denoise in (("caejax", run), ("BM3D", bm3d)):
                        key = {"kind": kind, "form": form, "image": name}
                        key |= {"level": level, "estimator": estimator}
                        if not select(rows, **key):
                            found = psnr(denoise(image, level), clean)
                            rows.append(rounded(key | {"psnr": found}, ".5g"))
            write_csv(args.out / FILE, rows)
            print(f"{kind}: {name}", flush=True)
    (args.out / "elsewhere.md").write_text(table(rows))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main, GOES_ON))
