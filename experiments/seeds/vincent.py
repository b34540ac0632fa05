"""System D in NumPy: an independent reference, as its source reports no values.

    python -m experiments.seeds.vincent --data=DIR [--seeds=N] [--epochs=N]

DIR holds MNIST's four IDX files. Writes vincent.csv: by epoch the squared error, summed
over the 10,000 test images under fresh masks. Seeds that are whole there are kept.
"""

import argparse
import csv
import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PIXELS, UNITS = 784, 500
MASKED = 0.3
RATE = 0.02
BATCH = 128
EPOCHS = 100
IMAGES = 55_000  # of training, as TensorFlow's MNIST has them
FIELDS = ("seed", "epoch", "sse")

Params = tuple[np.ndarray, np.ndarray, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)); float32 saturates without overflow in tanh."""
    return (1 + np.tanh(x / 2)) / 2


def create_params(rng: np.random.Generator) -> Params:
    """Kernel (784, 500) and the biases of code and pixels, float32."""
    bound = 4 * np.sqrt(6 / (PIXELS + UNITS))
    kernel = rng.uniform(-bound, bound, (PIXELS, UNITS)).astype(np.float32)
    return kernel, np.zeros(UNITS, np.float32), np.zeros(PIXELS, np.float32)


def forward(params: Params, noisy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code (B, 500) and image (B, 784)."""
    kernel, code_bias, pixel_bias = params
    code = sigmoid(noisy @ kernel + code_bias)
    return code, sigmoid(code @ kernel.T + pixel_bias)


def gradients(params: Params, noisy: np.ndarray, clean: np.ndarray) -> Params:
    """Gradients of the squared error summed over pixels and images."""
    code, image = forward(params, noisy)
    pixels = 2 * (image - clean) * image * (1 - image)  # before the last sigmoid
    units = pixels @ params[0] * code * (1 - code)
    return noisy.T @ units + pixels.T @ code, units.sum(0), pixels.sum(0)


def mask(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Sets each pixel to 0 with probability 0.3."""
    return images * (rng.random(images.shape, np.float32) >= MASKED)


def summed_error(params: Params, images: np.ndarray, rng: np.random.Generator) -> float:
    """Summed squared error under fresh masks."""
    _, outputs = forward(params, mask(rng, images))
    return float(np.sum((outputs - images) ** 2, dtype=np.float64))


def curve(
    train: np.ndarray, test: np.ndarray, seed: int, epochs: int
) -> Iterator[float]:
    """Trains with plain SGD; yields the test error after each epoch."""
    rng = np.random.default_rng(seed)
    params = create_params(rng)
    for _ in range(epochs):
        order = rng.permutation(len(train))
        for first in range(0, len(train) - BATCH + 1, BATCH):
            clean = train[order[first : first + BATCH]]
            steps = gradients(params, mask(rng, clean), clean)
            for value, gradient in zip(params, steps, strict=True):
                value -= RATE * gradient
        yield summed_error(params, test, rng)


def read_images(folder: Path, part: str) -> np.ndarray:
    """Images (N, 784), float32 in [0, 1]."""
    path = next(folder.glob(f"{part}-images?idx3-ubyte*"))
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    return pixels.reshape(-1, PIXELS).astype(np.float32) / 255


def read_curves(path: Path) -> dict[int, list[float]]:
    """The test error by epoch of every seed in the file."""
    curves: dict[int, list[float]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                curves.setdefault(int(row["seed"]), []).append(float(row["sse"]))
    return curves


def write_curves(curves: dict[int, list[float]], path: Path) -> None:
    """Writes a row an epoch."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for seed, errors in curves.items():
            for epoch, error in enumerate(errors, start=1):
                writer.writerow([seed, epoch, f"{error:.1f}"])


def main(argv: list[str] | None = None) -> None:
    """Trains what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    here = Path(__file__).with_name("vincent.csv")
    parser.add_argument("--out", type=Path, default=here)
    args = parser.parse_args(argv)
    train, test = (read_images(args.data, part) for part in ("train", "t10k"))
    train, curves = train[:IMAGES], read_curves(args.out)
    for seed in range(args.seeds):
        if len(curves.get(seed, [])) >= args.epochs:
            continue
        began = time.perf_counter()
        curves[seed] = []
        for error in curve(train, test, seed, args.epochs):
            curves[seed].append(error)
            seconds = time.perf_counter() - began
            print(f"seed {seed} epoch {len(curves[seed])} {error:,.0f} {seconds:.0f} s")
            write_curves(curves, args.out)


if __name__ == "__main__":
    main()
