"""Forms of one layer against each other: what the rules of `caejax.ops` are read off.

    python -m experiments.speed.forms

Forward and backward of a layer with ReLU, a chunk of a batch at a time in one
`lax.scan` as in training, on one core: upsampling by one convolution for all phases
and with the phases apart, 3 x 3 convolutions plain and by Winograd's sums. Writes
forms.json and forms.md; a round on a machine that is not idle counts for no ratio.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caejax.report.tables import to_markdown
from caejax.runtime.cores import usable_cores
from caejax.runtime.devices import take_core
from experiments.shared import idle
from experiments.shared.cells import bracketed
from experiments.shared.commands import create_parser
from experiments.shared.machine import in_words, versions
from experiments.shared.turns import in_turns, ratio_quartiles

CHUNKS = 16
FILTERS = {3: 0, 4: -1, 5: -1}  # taps of an upsampling filter, and its origin
WIDTHS = {32: 10, 64: 4, 128: 2}  # channels on both sides, and images in a chunk
SIDES = (14, 28)  # of a 3 x 3 convolution's images

Record = dict[str, Any]


def layers() -> dict[str, tuple[dict[str, Callable], list[tuple[int, ...]]]]:
    """By name, a layer's forms, (x, kernel) to y, and the shapes of x, kernel and y."""
    from caejax.ops.apart import upsample_apart
    from caejax.ops.conv import _conv_matmul
    from caejax.ops.polyphase import upsample_together
    from caejax.ops.winograd import winograd_conv

    same = ((1, 1), (1, 1))
    found = {}
    for width, chunk in WIDTHS.items():
        for taps, origin in FILTERS.items():
            found[f"upsampling by {taps} taps, 14 x 14, {width} channels"] = (
                {
                    "together": lambda x, h, o=origin: upsample_together(
                        x, h, origin=o, stride=2
                    ),
                    "apart": lambda x, h, o=origin: upsample_apart(x, h, o, 2),
                },
                [(chunk, 14, 14, width), (taps, taps, width, width)]
                + [(chunk, 28, 28, width)],
            )
        for side in SIDES:
            images = (chunk, side, side, width)
            found[f"3 x 3 convolution, {side} x {side}, {width} channels"] = (
                {
                    "plain": lambda x, k: _conv_matmul(x, k, same),
                    "winograd": lambda x, k: winograd_conv(x, k, same),
                },
                [images, (3, 3, width, width), images],
            )
    return found


def program(form: Callable) -> Callable:
    """Adds up the gradients of all chunks: (kernel, images, weights of outputs)."""
    import jax
    import jax.numpy as jnp

    from caejax.runtime.compilation import quick_jit

    def loss(kernel, x, weights):
        return (jax.nn.relu(form(x, kernel)) * weights).sum()

    def run(kernel, images, weights):
        def add(total, part):
            by_kernel, by_image = jax.grad(loss, (0, 1))(kernel, *part)
            return (total[0] + by_kernel, total[1] + by_image.sum()), None

        zeros = jnp.zeros_like(kernel), jnp.float32(0)
        return jax.lax.scan(add, zeros, (images, weights))[0]

    return quick_jit(run)


def measure(name: str, forms: dict[str, Callable], shapes, rounds: int) -> Record:
    """Times a layer's forms in turns: microseconds an image by round."""
    import jax

    rng = np.random.default_rng(0)
    x, kernel, y = (rng.standard_normal(shape, np.float32) for shape in shapes)
    arguments = kernel / 10, np.stack([x] * CHUNKS), np.stack([y] * CHUNKS)
    arguments = jax.device_put(arguments)
    programs = {form: program(function) for form, function in forms.items()}
    for run in programs.values():
        jax.block_until_ready(run(*arguments))
    times, machine = {form: [] for form in forms}, []
    order = in_turns(list(forms), rounds)
    for _ in range(rounds):
        before = idle.look(())
        for _ in forms:
            form = next(order)
            start = time.perf_counter()
            jax.block_until_ready(programs[form](*arguments))
            seconds = time.perf_counter() - start
            times[form].append(1e6 * seconds / CHUNKS / len(x))
        machine.append(idle.between(before, idle.look(())))
    return {"name": name, "us": times, "machine": machine}


def report(results: Record) -> str:
    """The table of all layers."""
    lines = []
    for record in results["layers"]:
        kept = [i for i, one in enumerate(record["machine"]) if idle.was_idle(one)]
        (first, old), (second, new) = (
            (form, [times[i] for i in kept]) for form, times in record["us"].items()
        )
        cells = ["machine not idle"] * 3
        if kept:
            low, middle, high = ratio_quartiles(old, new)
            cells = [f"{first} {np.median(old):.0f}", f"{second} {np.median(new):.0f}"]
            cells.append(bracketed(middle, low, high))
        lines.append(
            [record["name"], *cells, f"{len(kept)} of {len(record['machine'])}"]
        )
    header = ["layer", "us an image", "us an image", "first over second", "idle rounds"]
    return "\n".join(
        [
            "Written by forms.py.\n",
            f"{in_words(results['setting'])}.\n",
            to_markdown(header, lines),
        ]
    )


def main(argv: list[str] | None = None) -> None:
    """Measures all layers."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each form")
    args = parser.parse_args(argv)
    take_core(usable_cores()[-1])
    args.out.mkdir(parents=True, exist_ok=True)
    results = {
        "setting": {
            "machine": platform.machine(),
            "cores": 1,
            "rounds": args.rounds,
            "load before": round(os.getloadavg()[0], 2),
            **versions(("jax", "jaxlib", "numpy")),
        },
        "layers": [],
    }
    for name, (forms, shapes) in layers().items():
        results["layers"].append(measure(name, forms, shapes, args.rounds))
        (args.out / "forms.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.out / "forms.md").write_text(report(results))
        print(name, flush=True)


if __name__ == "__main__":
    main()
