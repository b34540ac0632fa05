"""Systems B, C and E in PyTorch, written apart from caejax.

    python -m experiments.seeds.pytorch --data=DIR [--systems=a,b] [--seeds=N]

DIR holds MNIST's four IDX files. Needs PyTorch. Writes pytorch.csv: by system, seed and
epoch the training loss in the source's unit, and the units or channels of the code that
are 0 on all 10,000 test images. Seeds that are whole there are kept.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, mse_loss

from caejax.data import idx
from caejax.files.csv_files import read_csv, write_csv
from caejax.runtime.stopping import run_command
from experiments.shared.commands import create_parser, names
from experiments.shared.rows import select


class Reference(NamedTuple):
    """A system in PyTorch.

    Attributes:
      build: a function that makes encoder and decoder, which ends before the sigmoid.
      epochs: the number of epochs of the source's schedule.
      batch: the number of images a batch; what is left of an epoch is dropped.
      images: the number of training images.
      loss: the loss function of images in [0, 1].
      factor: the factor on the mean loss.
      noise: the noise's standard deviation; noisy pixels are clipped to [0, 1].
      glorot: whether to draw Glorot's uniform kernels and biases of zero, as in Keras
        and TensorFlow; else PyTorch's own.
      optimizer: a function that makes the optimiser of the parameters.
    """

    build: Callable[[], tuple[nn.Module, nn.Module]]
    epochs: int
    batch: int = 20
    images: int = 60_000
    loss: Callable[[Tensor, Tensor], Tensor] = mse_loss
    factor: float = 20.0
    noise: float = 0.0
    glorot: bool = False
    optimizer: Callable[..., torch.optim.Optimizer] = partial(torch.optim.Adam, lr=1e-3)


def conv(channels: int, features: int) -> nn.Module:
    """3x3, as large as its input."""
    return nn.Conv2d(channels, features, 3, padding=1)


def conv_pool(*channels: int, ceil: bool = False) -> list[nn.Module]:
    """Convolutions from each to the next, each with ReLU and a halving max-pool."""
    layers = []
    for before, after in itertools.pairwise(channels):
        layers += [conv(before, after), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=ceil)]
    return layers


def up(size: int, stride: int, channels: int, features: int) -> nn.Module:
    """A transposed convolution without padding."""
    return nn.ConvTranspose2d(channels, features, size, stride)


def dense(code: int) -> tuple[nn.Module, nn.Module]:
    """784 to a code and back."""
    shape = nn.Unflatten(1, (1, 28, 28))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, code), nn.ReLU())
    return encoder, nn.Sequential(nn.Linear(code, 784), shape)


def transposed() -> tuple[nn.Module, nn.Module]:
    """Code 7x7x4, two transposed convolutions."""
    decoder = up(2, 2, 4, 16), nn.ReLU(), up(2, 2, 16, 1)
    return nn.Sequential(*conv_pool(1, 16, 4)), nn.Sequential(*decoder)


def upsampling() -> tuple[nn.Module, nn.Module]:
    """Code 7x7x4, two nearest-neighbour resizes, each before a convolution."""
    layers = nn.Upsample(scale_factor=2), conv(4, 16), nn.ReLU()
    layers += nn.Upsample(scale_factor=2), conv(16, 1)
    return nn.Sequential(*conv_pool(1, 16, 4)), nn.Sequential(*layers)


def denoiser() -> tuple[nn.Module, nn.Module]:
    """Code 3x3x8, three transposed convolutions, 3 to 7 to 14 to 28."""
    layers = [up(3, 2, 8, 8), nn.ReLU(), up(2, 2, 8, 16), nn.ReLU()]
    layers += [up(2, 2, 16, 32), nn.ReLU(), conv(32, 1)]
    return nn.Sequential(*conv_pool(1, 32, 16, 8)), nn.Sequential(*layers)


def keras_conv() -> tuple[nn.Module, nn.Module]:
    """Code 4x4x8; the third convolution of the decoder takes 16 pixels to 14."""
    double = nn.Upsample(scale_factor=2)
    layers = [conv(8, 8), nn.ReLU(), double, conv(8, 8), nn.ReLU(), double]
    layers += [nn.Conv2d(8, 16, 3), nn.ReLU(), double, conv(16, 1)]
    return nn.Sequential(*conv_pool(1, 16, 8, 8, ceil=True)), nn.Sequential(*layers)


def tensorflow_conv() -> tuple[nn.Module, nn.Module]:
    """Code 4x4x32; nearest-neighbour resizes to 7, from floor(4 i / 7), 14 and 28."""
    layers = [nn.Upsample(7), conv(32, 32), nn.ReLU()]
    for before in (32, 64):
        layers += [nn.Upsample(scale_factor=2), conv(before, 64), nn.ReLU()]
    encoder = nn.Sequential(*conv_pool(1, 64, 64, 32, ceil=True))
    return encoder, nn.Sequential(*layers, conv(64, 1))


# What B's three systems have in common; TensorFlow's MNIST keeps 5,000 images apart.
system_b = partial(
    Reference,
    batch=128,
    images=55_000,
    loss=binary_cross_entropy,
    factor=1.0,
    glorot=True,
)

REFERENCES = {
    "b_basic": system_b(
        partial(dense, 64), 20, optimizer=partial(torch.optim.Adam, lr=1e-2)
    ),
    "b_dense_denoiser": system_b(partial(dense, 32), 30, noise=0.5),
    "b_conv_denoiser": system_b(tensorflow_conv, 10, noise=0.5),
    "e_linear": Reference(partial(dense, 32), 20),
    "e_transposed": Reference(transposed, 30),
    "e_upsampling": Reference(upsampling, 30),
    "e_denoiser": Reference(denoiser, 20, noise=0.5),
    "c_keras_conv": Reference(
        keras_conv,
        50,
        batch=128,
        loss=binary_cross_entropy,
        factor=1.0,
        glorot=True,
        optimizer=partial(torch.optim.Adadelta, lr=1.0, rho=0.95, eps=1e-7),
    ),
}


def start(reference: Reference) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder with drawn weights."""
    encoder, decoder = reference.build()
    for module in (*encoder, *decoder):
        if reference.glorot and hasattr(module, "weight"):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return encoder, decoder


def curve(
    reference: Reference, train: Tensor, test: Tensor, seed: int
) -> Iterator[tuple[float, int]]:
    """Trains as the source does; yields its loss and the dead units by epoch."""
    torch.manual_seed(seed)
    encoder, decoder = start(reference)
    optimizer = reference.optimizer([*encoder.parameters(), *decoder.parameters()])
    train = train[: reference.images]
    count = len(train) // reference.batch
    for _ in range(reference.epochs):
        order = torch.randperm(len(train))[: count * reference.batch]
        losses = [
            take_step(reference, encoder, decoder, optimizer, train[chosen])
            for chosen in order.split(reference.batch)
        ]
        mean = torch.stack(losses).mean().item()
        yield reference.factor * mean, dead_units(encoder, test)


def take_step(
    reference: Reference,
    encoder: nn.Module,
    decoder: nn.Module,
    optimizer: torch.optim.Optimizer,
    clean: Tensor,
) -> Tensor:
    """One step on a batch (B, 1, H, W) in [0, 1]; returns its loss."""
    noisy = clean
    if reference.noise:
        noisy = clean + reference.noise * torch.randn_like(clean)
        noisy = noisy.clip(0, 1)
    loss = reference.loss(decoder(encoder(noisy)).sigmoid(), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def dead_units(encoder: nn.Module, images: Tensor) -> int:
    """Units or channels of the code that are 0 on all images."""
    highest = torch.stack([encoder(x).amax(0) for x in images.split(1000)]).amax(0)
    return int((highest.reshape(len(highest), -1).amax(1) <= 0).sum())


def pixels(images) -> Tensor:
    """(N, 1, 28, 28) in [0, 1] of uint8 (N, 28, 28, 1)."""
    return torch.tensor(images.transpose(0, 3, 1, 2)).float() / 255


def study(args: argparse.Namespace) -> int:
    """Trains what is missing; the file is written anew after each seed."""
    systems = names(args.systems, REFERENCES, "systems")
    torch.set_num_threads(1)  # its products are too small for two
    train, test = (pixels(part.images) for part in idx.load(dir=str(args.data)))
    for name, seed in itertools.product(systems, range(args.seeds)):
        if select(read_csv(args.out), system=name, seed=seed):
            continue
        began, rows = time.perf_counter(), []
        points = curve(REFERENCES[name], train, test, seed)
        for epoch, (figure, dead) in enumerate(points, start=1):
            row = {"system": name, "seed": seed, "epoch": epoch}
            rows.append(row | {"figure": figure, "dead_units": dead})
        print(f"{rows[-1]} {time.perf_counter() - began:.0f} s", flush=True)
        # Read again: another command may have added its seeds.
        write_csv(args.out, read_csv(args.out) + rows, ".6g")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the command."""
    parser = create_parser(__doc__, out=Path(__file__).with_name("pytorch.csv"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--systems", default="all", help="comma list")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args(argv)
    stopped = "interrupted; seeds that are whole are kept"
    return run_command(lambda: study(args), stopped)


if __name__ == "__main__":
    sys.exit(main())
