"""The command `caejax diagnose MODEL`."""

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
from caejax.terminal.numbers import decibels

FOUND = 3  # exit code: a pattern above the threshold

_DESCRIPTION = """\
Finds the places where a model enlarges its features, reads from their kernels whether
they draw checkerboards, measures what the whole model draws of flat inputs, and says
what mends it. MODEL is an ONNX file, the folder of a finished run of caejax, a file of
its weights (.safetensors), or the name of a model that ships, such as denoiser_gray.

Exit codes: 0 clean, 3 a pattern above --threshold, 1 something that cannot be read.
"""


def parse(argv: Sequence[str], program: str) -> argparse.Namespace:
    """Reads the command line."""
    parser = create_parser(program, _DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="an ONNX file, a run, or a model that ships")
    add_json(parser)
    add(
        "--threshold",
        type=reading(decibels),
        default=-60.0,
        metavar="DB",
        help="a pattern of flat inputs above this is a fault, against the flat part of "
        "the output (default: -60)",
    )
    add(
        "--images",
        metavar="DIR",
        help="probe with the colours, or features, that these images (or .npy files) "
        "have on average; without, with random ones",
    )
    add(
        "--from",
        dest="behind",
        metavar="TENSOR",
        help="probe only what lies behind this tensor of an ONNX file, or layer of a "
        "run, with flat features of the mean and spread that the inputs give there",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str], *, program: str = "python -m caejax.diagnose") -> int:
    """Does what the command line says; returns the exit code."""
    args = parse(argv, program)
    return exit_code(lambda: _diagnose(args), "interrupted")


def _diagnose(args):
    from caejax.diagnose import check_there, diagnose, is_own, read_inputs

    model = expand(args.model, "MODEL")
    check_there(model, "MODEL")
    if is_own(model):
        from caejax.runtime.startup import start

        start()
    inputs, more = None, []
    if args.images is not None:
        inputs, *more = read_inputs(model, expand(args.images, "--images"))
    found = diagnose(
        model,
        inputs,
        threshold_db=args.threshold,
        behind=args.behind,
        examples=more,
    )
    tell(found, args.json)
    return 0 if found.clean else FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
