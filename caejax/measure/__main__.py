"""The command `caejax measure IMAGES [REF]`."""

from caejax.runtime import stopping

if __name__ == "__main__":
    stopping.listen_to_the_end("interrupted")

import argparse
import sys
from collections.abc import Sequence

from caejax.errors import exit_code
from caejax.files.paths import expand
from caejax.files.records import add_json, tell
from caejax.runtime.parsers import create_parser, reading
from caejax.terminal import lines
from caejax.terminal.notes import note
from caejax.terminal.numbers import decibels

FOUND = 3  # exit code: a pattern above the threshold

_DESCRIPTION = """\
Finds repeating patterns in images, whatever made the images. For each pattern it prints
the period (2 to 64 pixels, along either axis or both), how sure and how strong it is,
and what usually causes such a period. IMAGES and REF are images or folders of them.
With REF, which has the same names and sizes, the differences are searched, and PSNR,
SSIM and the patterns' metrics are printed, too.

Exit codes: 0 clean, 3 a pattern above --threshold, 1 something that cannot be read, or
an image of less than 8 pixels a side, which is too small for any period.
"""


def parse(argv: Sequence[str], program: str) -> argparse.Namespace:
    """Reads the command line."""
    parser = create_parser(program, _DESCRIPTION)
    add = parser.add_argument
    add("out", metavar="IMAGES", help="an image, or a folder of images")
    add("ref", metavar="REF", nargs="?", help="what they should be")
    add_json(parser)
    add(
        "--threshold",
        type=reading(decibels),
        default=-60.0,
        metavar="DB",
        help="a pattern whose RMS is above this is a fault, in dB of full scale; -60 "
        "is a quarter of a grey level of 255; of uneven detail, 10 more (default: -60)",
    )
    add(
        "--figure",
        default="",
        metavar="FILE",
        help="draw the mean spectrum and the folded period there, as PNG, over an "
        "earlier figure but over no other file (default: no figure)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str], *, program: str = "python -m caejax.measure") -> int:
    """Does what the command line says; returns the exit code."""
    args = parse(argv, program)
    return exit_code(lambda: _measure(args), "interrupted")


def _measure(args):
    if args.ref is not None:
        from caejax.runtime.startup import start

        start()
    from caejax.measure import measure

    found = measure(
        args.out, args.ref, threshold_db=args.threshold, figure=args.figure or None
    )
    tell(found, args.json)
    if args.figure:
        _say_where(args)
    return 0 if found.clean else FOUND


def _say_where(args):
    """Where the picture is; beside a record on the terminal, as a note."""
    from caejax.measure import picture

    drawn = picture.place(expand(args.figure, "--figure"))
    line = f"wrote the picture {drawn}"
    note(line) if args.json == "-" else lines.tell(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
