"""The command line of trained models: `caejax COMMAND --run=DIR`."""

from caejax.runtime import stopping

_STOPPED = "interrupted; what was written is whole"
if __name__ == "__main__":
    stopping.listen_to_the_end(_STOPPED)  # before anything else is imported

import argparse  # noqa: E402
import contextlib  # noqa: E402
import sys  # noqa: E402
import textwrap  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

from caejax import weights  # noqa: E402
from caejax.errors import CaejaxError, did_you_mean  # noqa: E402
from caejax.files.folders import leaving_none_empty  # noqa: E402
from caejax.files.paths import expand, expand_folder  # noqa: E402
from caejax.runtime.parsers import create_parser  # noqa: E402
from caejax.terminal.notes import note  # noqa: E402
from caejax.terminal.numbers import number, whole  # noqa: E402

_PROGRAM = "python -m caejax.apply"

_DESCRIPTION = """\
Uses the trained model of a run, on the run's own data or on your images: name image
files, or folders, which are searched for images. Pictures are written as PNG and
arrays as .npz into the folder --out.

Your images may have any size. Images smaller than the model's are filled up with their
outermost pixels, and the results are cropped back; larger ones are done in overlapping
tiles that are blended. Transparency is laid over white, 16 bits are scaled to [0, 1],
EXIF orientation is applied, and of an animation the first frame is taken. Images that
cannot be used are named, the others are done, and the exit code is 1.
"""

_TILES = """\
Each tile of your images that has the model's own size has a code. That size is
data.image_size of the model's config, also if it was trained on smaller crops. Larger
images are cut into such tiles side by side from the middle. Smaller ones, and tiles
that reach over a border, are filled up with the outermost pixels.
"""

_COMMANDS = {
    "reconstruct": (
        "originals above the model's reconstructions",
        """\
Writes reconstructions.png, the first images above what the model makes of them, and:
of the run's own data reconstructions.npz with all images (original, input where the
run has a corruption, output, indices, labels); of your images NAME.png and NAME.npz
(output) each. Nothing is added to your images.
""",
    ),
    "encode": (
        "the codes of images, and pictures of them",
        f"""\
Writes codes.npz (codes, indices and labels where there are any) and codes.png, the
first images above their codes.

{_TILES}codes.npz then says whose they are: files, indices into it, and corners.
""",
    ),
    "neighbours": (
        "for some images, those with the nearest codes",
        f"""\
Finds, for each query, the images of the split whose codes are nearest by Euclidean
distance. Writes neighbours.png, which has one row for each query, and neighbours.npz
(indices into the split, distances, labels, query_indices, query_labels). Queries are
your images, or images of the split, which are not among their own neighbours.

{_TILES}""",
    ),
    "sample": (
        "the decoder as a generator",
        """\
Fits a Gaussian, or a mixture of them, to the codes of the training images, draws new
codes from it, within the range that each unit has there, and decodes them. Writes
samples.png and samples.npz (images, codes, and the fit: weights, means, covariances,
log_likelihood in nats per code).
""",
    ),
    "interpolate": (
        "images between two, linear in their codes",
        """\
Decodes codes on the straight line between those of two images, your own or two of
the split. The first and the last are the reconstructions of the two. Writes
interpolation.png and interpolation.npz (images, weights, ends).
""",
    ),
    "denoise": (
        "noisy images denoised",
        """\
Applies the model to your noisy images as they are and writes NAME.png (or NAME.tif)
and NAME.npz (output) each, and denoised.png with the first ones and a part of each.
JPEG files become PNG, too: JPEG would lose quality again. Files keep their EXIF data,
their colour profile and 16 bits where they have them. Without images the run's own
split is corrupted as the run was measured, and denoised.npz holds all (original, input,
output, indices, labels).
""",
    ),
}


# Flags of the run's own data, which nothing looks at where images are named.
_OF_DATA = ("split", "limit", "data_dir")
# Flags that only one command has.
_OPTIONS = {
    "denoise": ("level", "tile", "memory", "ensemble", "format", "floats"),
    "reconstruct": ("floats",),
    "neighbours": ("k", "query"),
    "sample": ("components", "covariance", "seed"),
    "interpolate": ("between", "steps"),
}


def parse(argv: Sequence[str], program: str = _PROGRAM) -> argparse.Namespace:
    """Parses the command line; a mistake is one line and exit code 1.

    Args:
      argv: The words behind the program's name.
      program: That name, for help and errors.
    """
    parser = create_parser(program, _DESCRIPTION)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for name, (line, text) in _COMMANDS.items():
        text = text + f"\n{_shipped()}\n" * (name == "denoise")
        command = commands.add_parser(name, help=line, description=text)
        _add_arguments(command, name)
    end = [*argv, "--"].index("--")  # argparse finds it only before the first image
    args, rest = parser.parse_known_args(argv[:end])
    flags = [word for word in rest if word.startswith("-")]
    rest += argv[end + 1 :]
    if flags or (rest and "images" not in args):
        commands.choices[args.command].refuse(flags or rest)
    args.images = [*getattr(args, "images", ()), *rest]  # those behind a flag
    return args


def _shipped():
    """What there is without --run, in this installation."""
    if not weights.shipped():
        return "It needs --run, as this version of caejax ships no model."
    text = f"Without --run, this version of caejax {weights.what_ships()}."
    if len(weights.shipped()) == 1:
        text += " Others need a run, or --convert."
    return textwrap.fill(text, 80)


def _add_arguments(command, name):
    add = command.add_argument
    optional = name == "denoise" and bool(weights.shipped())
    add(
        "--run",
        required=name != "denoise",  # it has a line of its own if there is no other
        metavar="DIR",
        help=weights.models()
        + "; without --run, the one that ships for the images' channels" * optional,
    )
    if name != "sample":
        add("images", nargs="*", help="files and folders; none: the run's own data")
        add(
            "--convert",
            action="store_true",
            help="make your images grey or colour, as the model needs",
        )
    add(
        "--split",
        choices=("train", "val", "test"),
        help=f"part of the run's own data (default {_own_split(name)})",
    )
    add(
        "--limit",
        type=_number(0),
        metavar="N",
        help="use only the first N images of the split (default: all)",
    )
    add("--data-dir", metavar="DIR", help="where the run's own data lies now")
    if name == "denoise":
        add(
            "--level",
            type=_level,
            metavar="SIGMA",
            help="standard deviation of the noise, of 255, for models that are told it "
            "(default: estimated from each image)",
        )
        _add_denoising(add)
    if name in ("denoise", "reconstruct"):
        add(
            "--nofloats",
            dest="floats",
            action="store_false",
            help="leave out NAME.npz, in which what came of your images is not rounded",
        )
    if name == "neighbours":
        add("--k", type=_number(1), default=8, help="number of neighbours (default 8)")
        add(
            "--query",
            type=_indices,
            default=(),
            metavar="I,J,...",
            help="images of the split (default: the first ones)",
        )
    if name == "sample":
        _add_sampling(add)
    if name == "interpolate":
        add(
            "--between",
            type=_pair,
            metavar="I,J",
            help="images of the split (default 0,1)",
        )
        add(
            "--steps",
            type=_number(2, most=1000),
            default=9,
            metavar="N",
            help="number of images, both ends included (default 9)",
        )
    else:
        _add_count(add, name)
    add(
        "--out",
        metavar="DIR",
        help=f"folder to write to; it may exist (default: RUN/apply/{name}"
        + (", without a run denoised)" if name == "denoise" else ")"),
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace files of the same names in --out, which otherwise is refused",
    )
    add(
        "--nocache",
        action="store_true",
        help="keep no compiled programs in the user's cache folder",
    )


def _own_split(command):
    return "train" if command == "sample" else "test"


def _add_denoising(add):
    add(
        "--tile",
        type=_number(1, 100_000),
        default=0,
        metavar="N",
        help="side of the tiles that large images are done in (default: by --memory)",
    )
    add(
        "--memory",
        type=_number(1),
        metavar="MIB",
        help="memory for the model's maps, besides the image itself (default 1024)",
    )
    add(
        "--ensemble",
        action="store_true",
        help="mean over eight flips and rotations, which takes eight times as long",
    )
    add(
        "--format",
        type=_format,
        choices=("png", "tiff"),
        default="png",
        help="format of your images' outputs, whose bits are those of the inputs "
        "(default png)",
    )


def _add_count(add, name):
    count, text, most = (8, "show", 1000)
    more = "; at most 100 of your own" if name in ("denoise", "reconstruct") else ""
    if name == "sample":
        count, text, most = (40, "draw", 100_000)
    add(
        "--count",
        type=_number(1, most),
        default=count,
        metavar="N",
        help=f"number of images to {text} (default {count}{more})",
    )


def _add_sampling(add):
    add(
        "--components",
        type=_number(1),
        default=1,
        metavar="K",
        help="Gaussians in the mixture (default 1)",
    )
    add(
        "--covariance",
        choices=("full", "diagonal"),
        default="full",
        help="diagonal: the units of a code are independent (default full)",
    )
    add("--seed", type=_number(0), default=0, help="seed of the draws (default 0)")


def _number(least, most=2**63 - 1):
    def parse_number(text):
        try:
            value = whole(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"{text!r:.60} is not a whole number of at least {least}"
            )
        if value > most:
            raise argparse.ArgumentTypeError(f"{text:.40} is more than {most:,}")
        return value

    return parse_number


def _level(text):
    try:
        level = number(text)
    except ValueError:
        level = -1.0
    if not 0 <= level <= 255:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 255")
    return level


def _format(text):
    if text.lower().startswith("jp"):  # with or without its e
        raise argparse.ArgumentTypeError(
            f"{text!r} is not written, because JPEG would lose again what was gained; "
            "give png or tiff"
        )
    return text


def _indices(text):
    return tuple(map(_number(0), text.split(",")))


def _pair(text):
    indices = _indices(text)
    if len(indices) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pair, like 0,1")
    return indices


def main(argv: Sequence[str], *, program: str = _PROGRAM) -> int:
    """Does what the command line says; returns the exit code.

    Args:
      argv: The words behind the program's name.
      program: That name, for help and errors.
    """
    args = parse(argv, program)
    return stopping.run_command(lambda: _apply(args), _STOPPED)


def _check_flags(args):
    """Refuses flags from which nothing would change."""
    if not args.images and getattr(args, "convert", False):
        raise CaejaxError(
            "--convert is for images of yours; name some, or leave it out"
        )
    if getattr(args, "tile", 0) and args.memory is not None:
        raise CaejaxError(
            "--tile and --memory both say how large tiles are; leave one out"
        )
    if not args.images or args.command == "neighbours":  # yours are sought in the split
        return
    for name in _OF_DATA:
        if getattr(args, name) is not None:
            raise CaejaxError(
                f"--{name.replace('_', '-')} is for the run's own data; leave it or "
                "your images out"
            )


def _apply(args) -> int:
    _check_flags(args)
    # Not at the top, so that help and mistakes do not wait for them.
    from caejax.inference import commands, trained
    from caejax.inference.job import Job
    from caejax.runtime.startup import start

    start(cores=1, cache=not args.nocache)
    out, model = Path("denoised"), None
    if args.run is not None:
        run = expand(args.run, "--run")
        named = weights.is_meant(args.run, run) or did_you_mean(args.run, weights.NAMES)
        a_run = run.is_dir() or not (run.exists() or named)
        model = trained.load(run) if a_run else trained.find(args.run)
        if a_run and args.command == "denoise":
            _tell_if_worse(run)
        out = run / "apply" / args.command if a_run else out
    if args.out is not None:
        out = expand_folder(args.out, "--out")
    if args.data_dir and model is not None:
        model.config.data.dir = args.data_dir
    job = Job(
        trained=model,
        out=out,
        overwrite=args.overwrite,
        images=[expand(image, "an image") for image in args.images],
        convert=getattr(args, "convert", False),
        split=args.split or _own_split(args.command),
        limit=args.limit or 0,
        count=getattr(args, "count", 0),
        name=str(args.run or ""),
    )
    options = {name: getattr(args, name) for name in _OPTIONS.get(args.command, ())}
    with leaving_none_empty(out):
        failures = getattr(commands, args.command)(job, **options)
    return 1 if failures else 0


def _tell_if_worse(run):
    """Says so where the run's test images came out worse than they went in."""
    from caejax.files.finished import read_summary
    from caejax.report.words import worse_than_input

    with contextlib.suppress(CaejaxError, OSError):  # it has not been measured, then
        if said := worse_than_input(read_summary(run)):
            note(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
