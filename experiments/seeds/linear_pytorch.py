"""System E's linear autoencoder in PyTorch: does it, too, end above its source?

    python experiments/seeds/linear_pytorch.py --data=DIR [--seeds=N] [--epochs=N]

DIR holds MNIST's four IDX files. Needs PyTorch. Writes linear_pytorch.csv: by seed and
epoch the training loss as the source counts it, 20 times the mean squared error, and
the units of the code that are 0 on all 10,000 test images.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from caejax.csv_files import write_csv
from caejax.data import idx

FIELDS = ("seed", "epoch", "figure", "dead_units")
BATCH = 20


def pixels(images) -> torch.Tensor:
    """(N, 784) in [0, 1] of uint8 (N, 28, 28, 1)."""
    return torch.tensor(images.reshape(-1, 784)).float() / 255


def curve(
    train: torch.Tensor, test: torch.Tensor, seed: int, epochs: int
) -> Iterator[tuple[float, int]]:
    """Trains as the source does; yields its loss and the dead units by epoch."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(784, 32), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(32, 784), nn.Sigmoid())
    params = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(params, 1e-3, fused=True)
    for _ in range(epochs):
        batches = train[torch.randperm(len(train))].split(BATCH)
        total = torch.zeros(())
        for batch in batches:
            loss = mse_loss(decoder(encoder(batch)), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        with torch.no_grad():
            dead = encoder(test).amax(0) <= 0
        yield BATCH * total.item() / len(batches), int(dead.sum())


def main(argv: list[str] | None = None) -> None:
    """Trains all seeds; the file is written anew after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # its products are too small for two
    train, test = (pixels(part.images) for part in idx.load(dir=str(args.data)))
    rows = []
    for seed in range(args.seeds):
        for epoch, found in enumerate(curve(train, test, seed, args.epochs), start=1):
            rows.append(dict(zip(FIELDS, (seed, epoch, *found), strict=True)))
        print(", ".join(f"{k} {v:g}" for k, v in rows[-1].items()), flush=True)
        write_csv(args.out / "linear_pytorch.csv", rows, ".6g")


if __name__ == "__main__":
    main()
