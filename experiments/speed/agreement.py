"""How far caejax's paths are from Flax's own layers after 100 steps, and why.

    python -m experiments.speed.agreement

Each model is trained with the same batches, by each path of `caejax.ops.paths`, in
float32 and in float64, and by the stock path once more from parameters of which each is
moved to the next float32. If a path were wrong, float64 would show it; how much
rounding alone moves parameters, the moved start shows. Writes agreement.csv and
agreement.md.
"""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from caejax.data import glyphs
from caejax.files.csv_files import write_csv
from caejax.ops.images import as_float
from caejax.runtime.startup import start
from caejax.training.step import objective
from experiments.shared.commands import create_parser
from experiments.speed import runners
from experiments.speed.systems import System, general, published

HERE = Path(__file__).parent
STEPS, BATCH = 100, 8
OPTIMIZERS = {"sgd": optax.sgd(0.02), "adam": optax.adam(1e-3)}


def systems() -> dict[str, System]:
    """The published systems and general models, narrow to wide, a few images a step."""
    wide = {
        f"{kind}, widths {width}": general((width, width, width // 2), kind)
        for kind in ("deconv_k3", "deconv_k4", "nearest_k3", "bilinear_k3", "shuffle")
        for width in (32, 128)
    }
    own = {name: s for name, s in published().items() if "batch" not in name}
    return {name: s._replace(batch=BATCH) for name, s in (own | wide).items()}


@functools.partial(jax.jit, static_argnames=("task", "tx"))
def train(task, tx, params, noisy, clean):
    """One step for each of the (N, B, H, W, C) batches; returns the parameters."""

    def step(carry, batch):
        params, state = carry
        grads, _ = jax.grad(functools.partial(objective, task), has_aux=True)(
            params, *batch
        )
        grads = jax.tree.map(lambda x: x / BATCH, grads)
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), (noisy, clean))
    return params


@functools.cache
def digits() -> np.ndarray:
    """Drawn digits (STEPS * BATCH, 28, 28, 1) in [0, 1], float64."""
    size = {"image_size": (28, 28), "channels": 1}
    train, _ = glyphs.load(train_size=STEPS * BATCH, test_size=10, seed=0, **size)
    return as_float(train.images).astype(np.float64)


def compare(name: str, system: System, optimizer: str) -> list[dict[str, Any]]:
    """Relative distances from the stock path of one model after `STEPS` steps."""
    task = runners.caejax_task(system, runners.Settings())
    clean = digits().reshape(STEPS, BATCH, *task.model.shape)
    noise = np.random.default_rng(0).normal(size=clean.shape)
    noisy = np.clip(clean + runners.NOISE * noise, 0, 1)

    def end(path, dtype, nudged=False):
        model = task.model.clone(path=path, dtype=jnp.dtype(dtype))
        params = jax.tree.map(np.asarray, runners.caejax_params(system))
        if nudged:
            params = jax.tree.map(lambda x: np.nextafter(x, np.float32(np.inf)), params)
        params, *batches = jax.tree.map(
            lambda x: jnp.asarray(x, dtype), (params, noisy, clean)
        )
        return train(
            task._replace(model=model), OPTIMIZERS[optimizer], params, *batches
        )

    begin = runners.caejax_params(system)
    stock = {dtype: end("stock", dtype) for dtype in ("float64", "float32")}
    pairs = {
        f"{path}, {dtype}": (end(path, dtype), stock[dtype])
        for dtype in stock
        for path in ("polyphase", "matmul")
    }
    pairs["stock, start moved by rounding"] = (
        end("stock", "float32", nudged=True),
        stock["float32"],
    )
    pairs["what training moves"] = (stock["float32"], begin)
    return [
        {"system": name, "optimizer": optimizer, "what": what, **distances(*pair)}
        for what, pair in pairs.items()
    ]


def distances(params: Any, reference: Any) -> dict[str, float]:
    """Norms of differences relative to the reference's: all, and the worst leaf."""
    pairs = list(zip(*map(jax.tree.leaves, (params, reference)), strict=True))
    squares = np.array(
        [
            [np.sum((np.float64(x) - y) ** 2), np.sum(np.float64(y) ** 2)]
            for x, y in pairs
        ]
    )
    apart, size = squares.sum(0)
    leaves = np.sqrt(squares[:, 0] / squares[:, 1])
    return {"all": float(np.sqrt(apart / size)), "worst leaf": float(leaves.max())}


def main(argv: list[str] | None = None) -> None:
    """Compares all systems."""
    parser = create_parser(__doc__, out=HERE)
    parser.add_argument("--systems", default="all", help="names, with commas")
    args = parser.parse_args(argv)
    start(BATCH, cores=1, cache=False)
    jax.config.update("jax_enable_x64", True)
    every = systems()
    chosen = every if args.systems == "all" else args.systems.split(";")
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in chosen:
        for optimizer in OPTIMIZERS:
            rows += compare(name, every[name], optimizer)
        write_csv(args.out / "agreement.csv", rows)
        print(
            name,
            *(f"{r['what']} {r['worst leaf']:.1e}" for r in rows[-10:]),
            flush=True,
        )


if __name__ == "__main__":
    main()
