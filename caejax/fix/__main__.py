"""The command `caejax fix MODEL --out=FILE`."""

from caejax.runtime import stopping

if __name__ == "__main__":
    stopping.listen_to_the_end("interrupted")

import argparse
import sys
from collections.abc import Sequence

from caejax.errors import CaejaxError, exit_code
from caejax.files.paths import expand
from caejax.files.records import add_json, tell
from caejax.runtime.parsers import create_parser, reading
from caejax.terminal.numbers import decibels, whole

LEFT = 3  # exit code: a pattern above the threshold is left
WORSE = 4  # exit code: more PSNR was lost than --max-loss allows

_DESCRIPTION = """\
Mends a model that draws checkerboards: kernels and biases are moved by the least change
that gives all output phases the same gain; the architecture stays. MODEL is an ONNX
file or the folder of a finished run of caejax, and stays as it is.

That alone can make a trained model much worse: runs of a study lost 2.4 to 8.9 dB of
PSNR. Of a run the loss is printed, and a warning if it is large; of an ONNX file it is
measured with --images and --targets. --finetune=2 trains a run two epochs further with
its phases kept equal, which won the loss back. It needs layers of the kinds deconv_k4,
shuffle_k3 or shuffle_icnr; in place of a model of another kind train a new one, of
nearest_k3 or deconv_k4_tied, which draw no grid.

Exit codes: 0 clean now, 3 a pattern above -60 dB is left, 4 clean, but worse by more
than --max-loss, 1 something that cannot be read or written.
"""


def parse(argv: Sequence[str], program: str) -> argparse.Namespace:
    """Reads the command line."""
    parser = create_parser(program, _DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="an ONNX file, or a run's folder")
    add("--out", required=True, metavar="FILE", help="the ONNX file or folder to write")
    add("--images", metavar="DIR", help="images (or .npy) to show how outputs move")
    add("--targets", metavar="DIR", help="what should come out for these, same names")
    add(
        "--finetune",
        type=reading(whole),
        default=0,
        metavar="EPOCHS",
        help="train a run so many epochs further with its phases kept equal; "
        "written to FILE-tuned",
    )
    add(
        "--max-loss",
        type=reading(decibels),
        metavar="DB",
        help="exit with 4 if the mended model (of --finetune the one trained further) "
        "has lost more PSNR; needs a run, or --targets",
    )
    add_json(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str], *, program: str = "python -m caejax.fix") -> int:
    """Does what the command line says; returns the exit code."""
    args = parse(argv, program)
    return exit_code(lambda: _fix(args), "interrupted")


def _fix(args):
    from caejax.fix import fix_file

    if args.finetune < 0:
        raise CaejaxError(f"--finetune is {args.finetune}; it counts epochs")
    is_run = expand(args.model, "MODEL").is_dir()
    if args.max_loss is not None and not (is_run or args.targets):
        raise CaejaxError(
            "--max-loss is of what --targets measure, which are missing: give --images "
            "and --targets"
        )
    if is_run:
        from caejax.runtime.startup import start

        start()
    found = fix_file(
        args.model,
        args.out,
        images=args.images,
        targets=args.targets,
        finetune=args.finetune,
    )
    tell(found, args.json)
    if not found["clean"]:
        return LEFT
    lost = args.max_loss is not None and found["loss_db"] > args.max_loss
    return WORSE if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
