"""What do the models between the weights of two denoisers do? And makes one of them.

    python -m experiments.denoiser.between FIRST SECOND --data=DIR --out=FOLDER
        [--take=SHARE]

FIRST and SECOND are folders of runs, files of models or names of those that ship. A
model between them has (1 - share) times the weights of the first plus share times those
of the second (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Shares
are measured on the middle of the photographs that validate (DIR holds the images of
BSDS500 in folders train, val and test): as it is, halved, and with other colours.
Models of one channel are given its luma, which has no colours.
Writes between.csv, a row for each share, form, image and level, and between.md; rows
that are there are kept. `--take` also writes that share's model, taken.safetensors.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from caejax.data import bsds500
from caejax.errors import CaejaxError
from caejax.export import weights as weight_file
from caejax.files.csv_files import read_csv, write_csv
from caejax.inference import trained
from caejax.inference.trained import Trained
from caejax.ops.colors import random_colors
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.denoiser.elsewhere import halved, middle
from experiments.denoiser.measure import in_kind, of_model, psnr, with_noise
from experiments.shared.cells import mean_and_interval
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row, by_columns, rounded, select

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVELS = (10, 15, 25, 50)  # of 255
FORMS = ("whole", "halved", "recolored")


def between(first: Trained, second: Trained, share: float) -> Trained:
    """The first model, with its weights moved by a share of the way to the second's.

    Raises:
      CaejaxError: the models do not have the same form.
    """
    shapes = [jax.tree.map(np.shape, model.params) for model in (first, second)]
    if shapes[0] != shapes[1]:
        raise CaejaxError("the two models have not the same parameters")

    def move(one, other):
        return (1 - share) * one + share * other

    return first._replace(params=jax.tree.map(move, first.params, second.params))


def in_form(image: np.ndarray, form: str, number: int) -> np.ndarray:
    """The middle of a photograph in one of `FORMS`.

    Args:
      image: (H, W, 3) uint8.
      form: "whole", "halved", or "recolored" by `caejax.ops.colors` at random.
      number: the image's, which decides the colours.

    Returns:
      (H, W, 3) float64 in [0, 1], of whole grey levels.
    """
    if form == "halved":
        image = np.asarray(halved(Image.fromarray(image)))
    values = middle(image) / 255
    if form == "recolored":
        given = np.float32(values)[None]
        changed = np.asarray(random_colors(jax.random.key(number), given, 1.0))[0]
        values = np.round(255 * changed.astype(np.float64)) / 255
    return values


def kept(out: Path) -> list[Row]:
    """The rows of between.csv in a folder; none where there is no such file."""
    return read_csv(out / "between.csv", numbers=("share", "psnr"))


def measure(
    rows: list[Row], models: dict[float, Trained], data: Path, out: Path, kind: str
) -> None:
    """Adds a row for each share, form, image and level that has none, and writes them.

    Args:
      rows: the rows that there are, to which others are added.
      models: by share.
      data: as for `bsds500.load`.
      out: the folder of between.csv.
      kind: "color", or "gray" for luma, in the forms that have no other colours.
    """
    _, images, _ = bsds500.load(dir=str(data), image_size=(321, 481), channels=3)
    for share, model in models.items():
        denoise = of_model(model)
        forms = [form for form in FORMS if kind == "color" or form != "recolored"]
        for number, image in enumerate(images.images):
            for form in forms:
                clean = in_kind(255 * in_form(image, form, number), kind)
                for level in LEVELS:
                    key = {"share": share, "form": form, "image": number}
                    key |= {"level": level}
                    if select(rows, **key):
                        continue
                    output = denoise(with_noise(clean, number, level), level)
                    found = rounded({"psnr": psnr(output, clean)}, ".6g")
                    rows.append(key | found)
        write_csv(out / "between.csv", rows)
        print(f"share {share:g} is measured", flush=True)


def table(rows: list[Row]) -> str:
    """PSNR minus that of the first model, by form, share and level, with intervals."""
    lines = []
    for (form, share), some in by_columns(rows, ("form", "share")).items():
        cells = []
        for level in LEVELS:
            ours = _by_image(some, level)
            first = _by_image(select(rows, form=form, share=0.0), level)
            gained = np.array([ours[image] - first[image] for image in ours])
            cells.append(mean_and_interval(gained, ".3f") if share else _mean(first))
        lines.append([form, f"{share:g}", *cells])
    lines.sort(key=lambda line: FORMS.index(line[0]))
    return to_markdown(["form", "share", *(f"{x} / 255" for x in LEVELS)], lines)


def _mean(values):
    return f"{np.mean([*values.values()]):.3f} dB"


def _by_image(rows, level):
    return {row["image"]: float(row["psnr"]) for row in select(rows, level=level)}


def main() -> int:
    """Parses the command line and runs."""
    parser = create_parser(__doc__)
    parser.add_argument("first", type=Path, help="a run, a file or a name")
    parser.add_argument("second", type=Path, help="likewise, of the same form")
    parser.add_argument("--data", type=Path, required=True, help="images of BSDS500")
    parser.add_argument("--out", type=Path, required=True, help="where all is written")
    parser.add_argument("--take", type=float, help="the share whose model is written")
    args = parser.parse_args()
    start(cores=1)
    first, second = trained.find(args.first), trained.find(args.second)
    shares = SHARES if args.take is None else sorted({*SHARES, args.take})
    models = {share: between(first, second, share) for share in shares}
    args.out.mkdir(parents=True, exist_ok=True)
    rows = kept(args.out)
    kind = "color" if first.config.data.channels == 3 else "gray"
    measure(rows, models, args.data, args.out, kind)
    (args.out / "between.md").write_text(table(rows))
    print(table(rows))
    if args.take is not None:
        print(weight_file.write(models[args.take], args.out / "taken.safetensors"))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main, GOES_ON))
