"""What samples features at places of its own does not enlarge; what enlarges does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import diagnose

SIDE = 16
KERNEL = np.random.default_rng(0).standard_normal((3, 3, 4, 4)).astype(np.float32)


def _grids():
    """By name, places to sample at, (2 SIDE, 2 SIDE, 2) from -1 to 1, columns first."""
    line = np.linspace(-1, 1, 2 * SIDE, dtype=np.float32)
    rows, columns = np.meshgrid(line, line, indexing="ij")
    radius = (rows + 1) / 2
    polar = radius * np.cos(np.pi * columns), radius * np.sin(np.pi * columns)
    jitter = np.random.default_rng(1).uniform(-0.05, 0.05, (*rows.shape, 2))
    return {
        "enlarged": np.stack([columns, rows], -1),
        "jittered": np.stack([columns, rows], -1) + jitter.astype(np.float32),
        "turned": np.stack([rows, columns], -1),
        "polar": np.stack(polar, -1),
        "a crop": np.stack([columns, rows], -1) / 4,
        "mixed": np.random.default_rng(2).permutation(np.stack([columns, rows], -1)),
    }


def _check(found, enlarges):
    """Of a sampler with a transposed convolution of stride 2 behind it."""
    strides = [place["stride"] for place in found["places"]]
    assert strides == [[2.0, 2.0]] * (1 + enlarges)
    assert found["period"] == ([4, 4] if enlarges else [2, 2])
    assert any("of its own" in line for line in found["about"]) != enlarges
    assert found["ripple_db"] > -30


@pytest.mark.parametrize("name", _grids())
def test_samples_at_fixed_places(name, torch, normal, tmp_path):
    grid, enlarges = _grids()[name][None], name in ("enlarged", "jittered")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 3, 4, 2, 1)
            self.up.weight.data = torch.as_tensor(KERNEL)

        def forward(self, x):
            sample = torch.nn.functional.grid_sample
            return self.up(sample(x, torch.as_tensor(grid), align_corners=True))

    _check(diagnose(Module(), normal(1, 3, SIDE, SIDE)), enlarges)
    nodes = [
        ("GridSample", ["x", "g"], ["a"], {"align_corners": 1}),
        ("ConvTranspose", ["a", "w"], ["y"], {"strides": [2, 2], "pads": [1] * 4}),
    ]
    shape, weights = [1, 3, SIDE, SIDE], {"g": grid, "w": KERNEL}
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=shape)
    _check(diagnose(path), enlarges)


@pytest.mark.parametrize(
    ("box", "enlarges"), [((0, 0, 16, 16), True), ((2, 3, 6, 9), False)]
)
def test_crops_of_regions(box, enlarges, tmp_path):
    size = {"output_height": 2 * SIDE, "output_width": 2 * SIDE}
    nodes = [
        ("RoiAlign", ["x", "box", "image"], ["a"], size),
        ("ConvTranspose", ["a", "w"], ["y"], {"strides": [2, 2], "pads": [1] * 4}),
    ]
    weights = {"box": np.array([box], np.float32), "image": np.array([0]), "w": KERNEL}
    shape = [1, 3, SIDE, SIDE]
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=shape)
    _check(diagnose(path), enlarges)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("side", [16, 32])
def test_deformable_attention_looks_around(side, heads, torch, normal):
    """Each pixel samples features near its own; rows lie one after the other."""
    points, channels = 4, 8

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, channels, 4, 4)
            self.offsets = torch.nn.Linear(channels, heads * points * 2)
            # As published, each head's points lie along a line of its own.
            angles = torch.arange(heads) * 2 * torch.pi / heads
            lines = torch.stack([angles.cos(), angles.sin()], -1)[:, None]
            self.offsets.bias.data = (lines * torch.arange(1, 5)[:, None]).flatten()
            self.up = torch.nn.ConvTranspose2d(channels, 3, 4, 2, 1)

        def forward(self, x):
            x = self.first(x)
            b, c, h, w = x.shape
            offsets = self.offsets(x.flatten(2).transpose(1, 2))
            offsets = offsets.view(b, h * w, heads, points, 2)
            rows, columns = torch.meshgrid(
                (torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij"
            )
            own = torch.stack([columns, rows], -1).view(1, h * w, 1, 1, 2)
            grid = 2 * (own + offsets / torch.tensor([w, h])) - 1
            grid = grid.transpose(1, 2).flatten(0, 1)
            features = x.reshape(b * heads, c // heads, h, w)
            seen = torch.nn.functional.grid_sample(features, grid, align_corners=False)
            return self.up(x + seen.mean(-1).reshape(x.shape))

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 3, side, side))
    assert [x["operation"] for x in found["places"]] == ["ConvTranspose2d"]
    assert found["period"] == [2, 2]


@pytest.mark.parametrize("mixed", [False, True])
def test_elements_that_are_taken_where_it_is_computed(mixed, normal):
    order = np.arange(2 * SIDE) // 2
    order = np.random.default_rng(0).permutation(order) if mixed else order

    def model(x):
        rows = jnp.asarray(order) + (x.mean() > 100)
        y = x[:, rows][:, :, rows]
        return jax.lax.conv_transpose(y, jnp.asarray(KERNEL.T), (2, 2), "SAME")

    found = diagnose(model, normal(1, SIDE, SIDE, 3))
    strides = [place["stride"] for place in found["places"]]
    assert strides == [[2.0, 1.0], [1.0, 2.0]] * (not mixed) + [[2.0, 2.0]]
    assert found["period"] == ([2, 2] if mixed else [4, 4])


def test_what_is_put_back_where_it_was_enlarges(torch, normal):
    """Of ones it makes zeros, too, and these lie within the image."""

    class Module(torch.nn.Module):
        def forward(self, x):
            x, places = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
            return torch.nn.functional.max_unpool2d(x, places, 2)

    (place,) = diagnose(Module(), normal(1, 3, 32, 32))["places"]
    assert place["operation"] == "max_unpool2d"
    assert not place["clean"]


def test_pooling_to_more_pixels_is_a_resize(torch, normal):
    """As in a pyramid of pooled features that are small already."""
    for module in (torch.nn.AdaptiveAvgPool2d(32), torch.nn.AdaptiveMaxPool2d(32)):
        (place,) = diagnose(module, normal(1, 3, 16, 16))["places"]
        assert place["operation"].startswith("interpolate (adaptive_")
        assert place["clean"]
