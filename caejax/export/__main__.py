"""The command `caejax export --run=RUN --format=FORMAT --out=FILE`."""

from caejax.runtime import stopping

if __name__ == "__main__":
    stopping.listen_to_the_end("interrupted")

import sys
from collections.abc import Sequence

from caejax import weights
from caejax.errors import CaejaxError, exit_code
from caejax.files.paths import expand
from caejax.runtime.parsers import create_parser

_DESCRIPTION = """\
Writes a trained model as a file that other programs run.

  safetensors  the parameters by name, and the config; caejax.load(FILE) reads it
  stablehlo    for jax.export.deserialize, on CPU, CUDA and TPU, without caejax
  onnx         for ONNX runtimes, images (N, C, H, W); needs caejax[onnx]

Images are floats in [0, 1], and may be of any number and size where the model is
convolutional.
"""


def main(argv: Sequence[str], *, program: str = "python -m caejax.export") -> int:
    """Does what the command line says; returns the exit code."""
    parser = create_parser(program, _DESCRIPTION)
    add = parser.add_argument
    add(
        "--run",
        required=True,
        metavar="RUN",
        help=weights.models(),
    )
    add("--format", required=True, help="safetensors, stablehlo or onnx")
    add("--out", required=True, metavar="FILE", help="the file to write")
    add("--overwrite", action="store_true", help="replace FILE if it exists")
    args = parser.parse_args(argv)
    return exit_code(lambda: _export(args), "interrupted")


def _export(args):
    from caejax.export import check_format, export
    from caejax.inference.trained import find
    from caejax.runtime.startup import start

    check_format(args.format)
    start(cores=1)
    out = expand(args.out, "--out")
    if out.is_dir():
        raise CaejaxError(f"--out is the folder {out}; name a file")
    if out.exists() and not args.overwrite:
        raise CaejaxError(f"{out} exists; choose another --out, or add --overwrite")
    text = export(find(args.run), args.format, out)
    print(f"wrote {out}: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
