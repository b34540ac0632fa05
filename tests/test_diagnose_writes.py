"""Features that are written to every other pixel, or stacked, enlarge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import diagnose
from caejax.fix import fix, fix_file

SIDE = 16
PHASES = [(0, 0), (0, 1), (1, 0), (1, 1)]


def expected(gains, x):
    """The pattern that four matrices draw of the mean of x, by NumPy, in dB."""
    made = np.einsum("pcf,c->pf", gains, x.mean((0, 1, 2)))
    return 10 * np.log10(made.var(0).mean() / (made.mean(0) ** 2).mean())


def large(torch, x):
    return x.new_zeros(len(x), 3, 2 * x.shape[2], 2 * x.shape[3])


def by_slices(torch, x, parts):
    made = large(torch, x)
    for (a, b), part in zip(PHASES, parts, strict=True):
        made[:, :, a::2, b::2] = part
    return made


def by_indices(torch, x, parts):
    made = large(torch, x)
    rows, columns = (torch.arange(0, 2 * n, 2) for n in x.shape[2:])
    of = torch.arange(len(x))[:, None, None, None]
    channels = torch.arange(3)[:, None, None]
    for (a, b), part in zip(PHASES, parts, strict=True):
        made.index_put_((of, channels, rows[:, None] + a, columns + b), part)
    return made


def by_scattering(torch, x, parts):
    rows = []
    for pair in (parts[:2], parts[2:]):
        made = x.new_zeros(len(x), 3, x.shape[2], 2 * x.shape[3])
        for n, part in enumerate(pair):
            made = torch.slice_scatter(made, part, 3, n, None, 2)
        rows.append(made)
    made = large(torch, x)
    for n, part in enumerate(rows):
        made = torch.slice_scatter(made, part, 2, n, None, 2)
    return made


@pytest.mark.parametrize("write", [by_slices, by_indices, by_scattering])
def test_written_in_pytorch(write, torch, normal):
    """Of the last write all is measured, and what goes is the whole pattern."""
    gains = normal(4, 3, 3)

    class Module(torch.nn.Module):
        def forward(self, x):
            parts = [torch.einsum("bchw,cf->bfhw", x, torch.tensor(g)) for g in gains]
            return write(torch, x, parts)

    x = normal(1, 3, SIDE, SIDE)
    found = diagnose(Module(), x)
    assert found["period"] == [2, 2]
    if write is not by_scattering:
        (place,) = found["places"]
        assert place["share"] == pytest.approx(1, abs=1e-5)
        assert place["ripple_db"] > -30
    assert all(place["share"] > 0.1 for place in found["places"])
    with pytest.warns(UserWarning, match="still draws"):
        fix(Module(), x)


def test_what_is_written_over_a_resize_is_shared_out_to_it(torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            made = torch.nn.functional.interpolate(x, scale_factor=2)
            made[..., ::2, ::2] = self.layer(x)
            return made

    torch.manual_seed(0)
    resize, written = diagnose(Module(), normal(1, 3, SIDE, SIDE))["places"]
    assert (resize["clean"], written["clean"]) == (True, False)
    assert (resize["share"], written["share"]) == (0, pytest.approx(1))


@pytest.mark.parametrize("way", ["set", "add"])
def test_written_in_jax(way, normal):
    gains, x = normal(4, 3, 3), normal(1, SIDE, SIDE, 3)

    def function(x):
        b, h, w, _ = x.shape
        made = jnp.zeros((b, 2 * h, 2 * w, 3))
        for n, (row, column) in enumerate(PHASES):
            at = made.at[:, row::2, column::2]
            made = getattr(at, way)(x @ gains[n])
        return made

    (place,) = diagnose(function, x)["places"]
    assert place["stride"] == [2, 2]
    assert place["share"] == pytest.approx(1, abs=1e-5)
    flat = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
    drawn = diagnose(lambda x: function(0 * x + flat), x)["ripple_db"]
    assert drawn == pytest.approx(expected(gains, x), abs=0.01)


def scattered(kind, weights):
    """Two maps to every other pixel of a signal, one after the other."""
    nodes = [("Conv", ["x", f"w{n}"], [f"c{n}"], {}) for n in (0, 1)]
    at = np.stack(np.meshgrid([0], [0, 1], range(0, 64, 2), indexing="ij"), -1)
    made = "zeros"
    for n in (0, 1):
        where = at + [0, 0, n]
        result = "y" if n else "half"
        if kind == "ScatterND":
            weights |= {f"i{n}": where}
            about = {}
        else:
            weights |= {f"i{n}": where[..., 2]}
            about = {"axis": 2}
        nodes.append((kind, [made, f"i{n}", f"c{n}"], [result], about))
        made = result
    weights |= {"zeros": np.zeros((1, 2, 64), np.float32)}
    return nodes, weights


@pytest.mark.parametrize("kind", ["ScatterND", "ScatterElements"])
def test_written_in_onnx(kind, normal, tmp_path):
    kernels = {f"w{n}": normal(2, 1, 1) for n in (0, 1)}
    nodes, weights = scattered(kind, dict(kernels))
    path = onnx_file(tmp_path / "m.onnx", nodes, weights, shape=[1, 1, 32])
    found = diagnose(path)
    (place,) = found["places"]
    assert (place["operation"], place["stride"]) == (kind, [2])
    assert found["period"] == [2]
    assert place["share"] == pytest.approx(1, abs=1e-5)
    made = [kernels[f"w{n}"][:, 0, 0] for n in (0, 1)]
    drawn = np.var(made, 0).mean() / (np.mean(made, 0) ** 2).mean()
    assert found["ripple_db"] == pytest.approx(10 * np.log10(drawn), abs=0.01)
    assert place["ripple_db"] == pytest.approx(10 * np.log10(drawn), abs=0.01)


def stacked(torch, parts):
    rows = [torch.stack(pair, -1).flatten(-2) for pair in (parts[:2], parts[2:])]
    return torch.stack(rows, -2).flatten(2, 3)


def test_stacked_phases_are_read_and_mended(torch, normal):
    """Of one layer, and of four whose kernels and borders differ."""

    class Module(torch.nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layers = torch.nn.ModuleList(
                torch.nn.Conv2d(3, 12 // len(sizes), size) for size in sizes
            )

        def forward(self, x):
            made = []
            for layer in self.layers:
                high, wide = (n - 1 for n in layer.kernel_size)
                made.append(layer(torch.nn.functional.pad(x, (wide, 0, high, 0))))
            parts = made if len(made) > 1 else made[0].chunk(4, 1)
            return stacked(torch, parts)

    torch.manual_seed(0)
    x = torch.as_tensor(normal(1, 3, SIDE, SIDE))
    for sizes in ([(3, 3)], [(3, 3), (2, 3), (3, 2), (2, 2)]):
        module = Module(sizes)
        found = diagnose(module, x)
        strides = [place["stride"] for place in found["places"]]
        assert strides == [[1, 2], [1, 2], [2, 1]]
        assert found["ripple_db"] > -30
        assert diagnose(fix(module, x), x)["ripple_db"] < -100
        if len(sizes) == 1:
            first = found["places"][0]
            assert first["name"] == "layers.0"
            assert first["predicted_db"] == pytest.approx(first["ripple_db"], abs=0.1)


def nested(torch, parts):
    rows = [torch.stack(pair, -1) for pair in (parts[:2], parts[2:])]
    made = torch.stack(rows, 3)  # (B, C, h, 2, w, 2)
    return made.flatten(4).flatten(2, 3)


def first(torch, parts):
    """All of them along an axis before that of the batch."""
    made = torch.stack(list(parts)).unflatten(0, (2, 2))
    return made.permute(2, 3, 4, 0, 5, 1).flatten(4).flatten(2, 3)


@pytest.mark.parametrize("put", [nested, first])
@pytest.mark.parametrize("count", [1, 3])
def test_phases_that_are_stacked_twice_are_read_and_mended(put, count, torch, normal):
    """Their pattern may be along the outer axis alone, which was overlooked."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            convs = (torch.nn.Conv2d(3, count, 3, padding=1) for _ in range(2))
            self.layers = torch.nn.ModuleList(convs)

        def forward(self, x):
            up, down = (layer(x) for layer in self.layers)
            return put(torch, [up, up, down, down])

    torch.manual_seed(0)
    module, x = Module(), torch.as_tensor(normal(1, 3, SIDE, SIDE))
    found = diagnose(module, x)
    (place,) = found["places"]
    assert place["stride"] == found["period"] == [2, 2]
    assert place["operation"] == "Conv2d + reshape"
    assert found["ripple_db"] > -30
    assert diagnose(fix(module, x), x)["ripple_db"] < -100


def test_phases_that_are_stacked_twice_in_jax(normal):
    kernels = normal(2, 3, 4)

    def function(x, active):
        up, down = (x @ w for w in kernels)
        rows = [jnp.stack([up, up], 3), jnp.stack([down, down], 3)]
        y = jnp.stack(rows, 2)  # (B, h, 2, w, 2, C)
        y = jax.nn.relu(y) if active else y
        return y.reshape(1, 2 * SIDE, 2 * SIDE, 4)

    for active in (False, True):
        found = diagnose(lambda x, on=active: function(x, on), normal(1, SIDE, SIDE, 3))
        (place,) = found["places"]
        assert place["stride"] == found["period"] == [2, 2]
        assert found["ripple_db"] > -30


def test_stacked_phases_of_onnx_files_are_mended(normal, tmp_path):
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Conv", ["x", "w"], ["c"], {}),
            ("Split", ["c"], ["a", "b"], {"axis": 1}),
            ("Unsqueeze", ["a", "last"], ["d"], {}),
            ("Unsqueeze", ["b", "last"], ["e"], {}),
            ("Concat", ["d", "e"], ["f"], {"axis": -1}),
            ("Reshape", ["f", "shape"], ["y"], {}),
        ],
        {
            "w": normal(6, 3, 3),
            "last": np.array([3]),
            "shape": np.array([0, 0, -1]),
        },
        sides=1,
    )
    (place,) = diagnose(path)["places"]
    assert (place["operation"], place["stride"]) == ("Conv + reshape", [2])
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    assert fix_file(path, tmp_path / "mended.onnx")["ripple_after_db"] < -100
