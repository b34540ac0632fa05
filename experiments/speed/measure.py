"""Times `caejax measure` on a hundred photographs.

    python -m experiments.speed.measure --data=DIR

writes measure.json: seconds of the whole command, its start included.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from caejax.data.listing import list_pictures
from caejax.files.atomic import write_json
from experiments.shared.commands import create_parser

COUNT = 100
ROUNDS = 3


def main() -> None:
    """Reads the command line, and times the command."""
    parser = create_parser(__doc__, Path(__file__).parent)
    parser.add_argument("--data", type=Path, required=True, help="BSDS500's folder")
    args = parser.parse_args()
    paths = list_pictures(args.data / "train").paths[:COUNT]
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder, "photographs")
        photographs.mkdir()
        for path in paths:
            (photographs / path.name).symlink_to(path.resolve())
        command = [sys.executable, "-m", "caejax.measure", str(photographs)]
        command.append(f"--figure={folder}/measure.png")
        seconds = [_seconds(command) for _ in range(ROUNDS)]
    cores = len(os.sched_getaffinity(0))
    found = {"photographs": len(paths), "cores": cores, "seconds": seconds}
    write_json(args.out / "measure.json", found)


def _seconds(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    return round(time.perf_counter() - start, 2)


if __name__ == "__main__":
    main()
