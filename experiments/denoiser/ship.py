"""Makes the files of weights that ship with caejax, and their model card.

    python -m experiments.denoiser.ship --data=DIR [--gray=RUN] [--color=RUN]

RUN is a finished run of `configs/denoiser_gray.py` or `configs/denoiser_color.py`, or a
file of weights that `experiments.denoiser.between` made of two. DIR holds the images of
BSDS500, for the card's pictures. The figures are those of results.csv, which
`experiments.denoiser.measure` has written of the same model; without them nothing is
shipped.
"""

import json
import sys
from pathlib import Path

from caejax import weights
from caejax.data.bsds500 import CBSD68
from caejax.errors import CaejaxError
from caejax.export import weights as weight_file
from caejax.files.csv_files import read_csv
from caejax.files.safetensors import read
from caejax.inference import trained
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.denoiser import elsewhere, failures
from experiments.denoiser.measure import (
    HERE,
    KINDS,
    LEVELS,
    by_image,
    cells,
    lead_rows,
    means,
)
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row

CARD = Path(__file__).parents[2] / "MODEL_CARD.md"
DATA = "BSDS500's train and test parts, 400 photographs"
NAMES = {kind: weights.DENOISERS[channels] for kind, channels in KINDS.items()}

_CARD = """\
# Model card: the {denoisers} with caejax

Written by `python -m experiments.denoiser.ship`; every figure is of
results.csv and elsewhere.csv in `experiments/denoiser`.

**What {they_are} of caejax's own parts that need not be told the level of the noise:
{names}. {whose} header
holds the config, the data, the seed, the figures and a checksum, which is verified
whenever the file is read.

**Intended use.** Photographs with Gaussian noise that is independent at each pixel and
has a standard deviation of up to 55 of 255: `caejax denoise PHOTOS`,
`caejax.load("{first}").denoise(images)`. Do not use the output as evidence: a
denoiser may draw details that look real but were never there.

**Data.** {data}, of the Berkeley Segmentation
Dataset, which is for non-commercial research (Arbelaez et al. 2011). Validation
used 32 photographs of its val part that are not in CBSD68. The weights are
under Apache-2.0, as all of caejax is. It is not known whether the photographs' licence
binds a model that was trained on them. For commercial use, train a model on photographs
of your own: `caejax run --config=denoiser_gray --config.data.dir=PHOTOS`.

**Figures.** PSNR in dB on CBSD68, mean over the 68 images. The noise was not clipped.
Outputs, and the noisy images in their own row, were clipped to [0, 1] and not rounded.
BM3D had the same noisy images and was told the level.
Differences are paired by image, with 95 % intervals. [How they were
measured](experiments/denoiser/README.md).

{table}

**Other photographs.** CBSD68 is of the data set that the models were trained on, whose
JPEG files hold colours at half the resolution. On five photographs of another source
(scikit-image's; the middle 256 pixels, as they are and halved), PSNR minus that of BM3D
in dB, mean and 95 % interval over the photographs:

{elsewhere}

**Failure cases.** Training did not include noise that neighbouring pixels share (as
after demosaicing and in JPEG files), shot noise, or levels above 55 of 255. Fine
texture below the level of the noise is lost. The pictures show four inputs: noise of
50, on that of the photographs where the model's PSNR minus BM3D's is lowest (of those
on which BM3D was measured); noise of 100; noise of 25 that neighbours share (a binomial
filter); and a JPEG file of quality 10.

{pictures}
"""

# Of one model that ships, and of more.
_WORDS = {
    1: {
        "denoisers": "denoiser that ships",
        "they_are": "it is.** A U-Net",
        "whose": "Its file's",
    },
    2: {
        "denoisers": "denoisers that ship",
        "they_are": "they are.** U-Nets",
        "whose": "Each file's",
    },
}


def figures(rows: list[Row], kind: str) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB by estimator and level; BM3D only where it is on all images.

    Raises:
      CaejaxError: the model has not been measured on all of CBSD68.
    """
    found: dict[str, dict[str, float]] = {}
    for estimator in ("noisy", "BM3D", "caejax"):
        by_level = means(rows, kind, estimator)
        lacking = [level for level in LEVELS if level not in by_level]
        if lacking and estimator != "BM3D":
            images = len(by_image(rows, kind, estimator, lacking[0]))
            raise CaejaxError(
                f"results.csv has {images} of {len(CBSD68)} images of {estimator} in "
                f"{kind} at {lacking[0]} of 255; run experiments.denoiser.measure first"
            )
        if by_level:
            found[estimator] = {str(x): round(y, 4) for x, y in by_level.items()}
    return found


def ship(kind: str, run: Path, rows: list[Row]) -> None:
    """Writes a run's weights with all that is to be known of them.

    Args:
      kind: "gray" or "color".
      run: the run's folder, or a file of its weights.
      rows: the rows of results.csv.
    """
    if run.is_dir() and not (run / "summary.json").is_file():
        raise CaejaxError(f"{run} is not finished; go on with it first")
    model = trained.find(run)
    if model.config.data.channels != KINDS[kind]:
        raise CaejaxError(f"{run} is not of images in {kind}")
    more = {
        "figures": json.dumps({"CBSD68, PSNR in dB": figures(rows, kind)}),
        "seed": str(model.config.seed),
        "data": DATA,
    }
    config = model.config.copy_and_resolve_references()
    config.data.dir = "bsds500"  # wherever it lay
    path = weights.place(NAMES[kind])
    words = weight_file.write(model._replace(config=config), path, more)
    print(f"wrote {path.name}: {words}")


def card(rows: list[Row], others: list[Row]) -> str:
    """The model card of the files that are there, with the figures of their headers.

    Args:
      rows: the rows of results.csv, for the differences.
      others: the rows of elsewhere.csv.
    """
    lines = []
    for kind, name in NAMES.items():
        if not weights.place(name).is_file():
            continue
        _, texts = read(weights.place(name))
        measured = json.loads(texts["figures"])["CBSD68, PSNR in dB"]
        for estimator, by_level in measured.items():
            by_number = {int(level): mean for level, mean in by_level.items()}
            lines.append([name, estimator, *cells(by_number, ".2f")])
        lines += [[name, *row[1:]] for row in lead_rows(rows, kind)]
    head = ["images of", "estimator", *(f"{level} / 255" for level in LEVELS)]
    pictures = [
        f"![What {NAMES[kind]} does not restore well: four damaged inputs, and its "
        f"outputs]({path})"
        for kind, path in _pictures().items()
    ]
    names = weights.shipped()
    return _CARD.format(
        **_WORDS[1 if len(names) == 1 else 2],
        names=", ".join(
            f"`{name}` for {weights.KINDS[channels]} photographs"
            for channels, name in names.items()
        ),
        first=next(iter(names.values()), ""),
        data=DATA,
        table=to_markdown(head, lines).strip(),
        elsewhere=elsewhere.table(others).strip(),
        pictures="\n\n".join(pictures),
    )


def _pictures():
    """The files of the card's pictures by the kind of the models that are there."""
    there = [kind for kind, name in NAMES.items() if weights.place(name).is_file()]
    return {kind: f"experiments/denoiser/failures_{kind}.png" for kind in there}


def main() -> int:
    """Parses the command line and runs."""
    parser = create_parser(__doc__, HERE)
    parser.add_argument("--data", type=Path, required=True, help="images of BSDS500")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help=f"a finished run, {kind}")
    args = parser.parse_args()
    start(cores=1)
    rows = read_csv(args.out / "results.csv", numbers=("psnr",))
    for kind in KINDS:
        if getattr(args, kind) is not None:
            ship(kind, getattr(args, kind), rows)
    for kind, picture in _pictures().items():
        model = weights.place(NAMES[kind])
        failures.draw(kind, model, args.data, rows, CARD.parent / picture)
    others = read_csv(args.out / elsewhere.FILE, numbers=("psnr",))
    CARD.write_text(card(rows, others))
    print(f"wrote {CARD.name}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main, GOES_ON))
