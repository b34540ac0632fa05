"""Which widths make decoders equally slow: measured, and held in times.csv.

    python -m experiments.tying.times

What is timed is a gradient step of the decoder alone: its images for a batch of codes,
and the gradient of their mean square. Kinds take turns, so that a slow moment of the
machine hits all; a time is the least of all turns. Time depends on the machine, so
times.csv names it.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from caejax.files.csv_files import read_csv, write_csv
from caejax.models.decoders import ConvDecoder
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, by_columns
from experiments.tying import plan

FILE = "times.csv"
SCALES = (0.3, 0.45, 0.7, 1.0, 1.4)
TURNS = 15
HERE = Path(__file__).parent


def measure(data: str) -> list[Row]:
    """A row for each kind and scale: data, decoder, scale, seconds, widths."""
    kinds = (plan.REFERENCE, *plan.COST_KINDS)
    cases = {}
    for kind in kinds:
        for scale in SCALES if kind != plan.REFERENCE else (1.0,):
            cases[kind, scale] = _step(kind, plan.scaled(scale), data)
    best = dict.fromkeys(cases, np.inf)
    for _ in range(TURNS):
        for case, step in cases.items():
            began = time.perf_counter()
            step()
            best[case] = min(best[case], time.perf_counter() - began)
    device = f"{jax.devices()[0].device_kind}, {len(jax.devices())}, jax"
    return [
        {"data": data, "decoder": kind, "scale": scale}
        | {
            "seconds": f"{best[kind, scale]:.4g}",
            "device": f"{device} {jax.__version__}",
        }
        for kind, scale in cases
    ]


def _step(kind, widths, data):
    stages = plan.stages(kind)
    decoder = ConvDecoder(widths, plan.CHANNELS[data], stages)
    side = -(-plan.SIDE[data] // 2 ** len(stages))
    codes = jnp.ones((plan.BATCH, side, side, plan.CODE[data]))
    size = (plan.SIDE[data],) * 2
    params = jax.jit(lambda: decoder.init(jax.random.key(0), codes, size))()

    def loss(params, codes):
        return (decoder.apply(params, codes, size) ** 2).mean()

    step = jax.jit(jax.value_and_grad(loss, (0, 1)))
    jax.block_until_ready(step(params, codes))
    return lambda: jax.block_until_ready(step(params, codes))


def equal_widths(rows: Sequence[Row], data: str) -> dict[str, tuple[int, ...]]:
    """By kind, the widths at which a step takes as long as the reference's.

    Between the scales that were measured, the logarithm of the time is taken to be a
    straight line of the scale's; beyond them the last is taken.
    """
    some = [row for row in rows if row["data"] == data]
    of = {kind: found for (kind,), found in by_columns(some, ["decoder"]).items()}
    goal = np.log(float(of.pop(plan.REFERENCE)[0]["seconds"]))
    found = {}
    for kind, timed in of.items():
        scales = np.log([float(row["scale"]) for row in timed])
        # Rounding and noise aside, wider is slower.
        seconds = np.maximum.accumulate(
            np.log([float(row["seconds"]) for row in timed])
        )
        seconds += 1e-6 * np.arange(len(seconds))
        found[kind] = plan.scaled(float(np.exp(np.interp(goal, seconds, scales))))
    return found


def read(out: Path) -> plan.Widths:
    """The widths of equal time that are held, by data and kind."""
    rows = read_csv(out / FILE)
    return {
        (data, kind): widths
        for data in plan.DATA
        if any(row["data"] == data for row in rows)
        for kind, widths in equal_widths(rows, data).items()
    }


def write(out: Path) -> None:
    """Measures and writes times.csv."""
    rows = [row for data in plan.DATA for row in measure(data)]
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / FILE, rows)
    for data in plan.DATA:
        print(data, equal_widths(rows, data), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measures and writes times.csv; returns the exit code."""
    args = create_parser(__doc__, HERE).parse_args(argv)
    return run_command(lambda: _measure(args.out), "interrupted; nothing was written")


def _measure(out):
    start(plan.BATCH)
    write(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
