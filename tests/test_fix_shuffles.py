"""Channels that become pixels are mended wherever their kernels are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import diagnose
from caejax.fix import fix, fix_file

SIDE = 16


@pytest.fixture
def parts(torch):
    """Makes a module of a function of itself and an image, and of its layers."""
    torch.manual_seed(0)

    class Module(torch.nn.Module):
        def __init__(self, forward, **layers):
            super().__init__()
            self.function = forward
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x):
            return self.function(self, x)

    return Module


def conv(torch, count, size=3, taken=3, **more):
    return torch.nn.Conv2d(taken, count, size, padding=size // 2, **more)


def norm(torch, count):
    """A normalisation whose every number differs by channel."""
    made = torch.nn.BatchNorm2d(count)
    for values in (made.weight, made.bias, made.running_mean):
        torch.nn.init.normal_(values, 1, 0.3)
    torch.nn.init.uniform_(made.running_var, 0.5, 2)
    return made


def numbers(torch, *shape):
    return torch.nn.Parameter(torch.randn(*shape))


def cut(x, first, last):
    return x[:, first:last]


def gate(torch, x):
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b)


def excited(torch, m, x):
    return x * torch.sigmoid(m.d(x.mean((2, 3), keepdim=True)))


FORMS = {
    "split": lambda t, c: (lambda m, x: m.c(x).split(12, 1)[1], {"c": c(24)}),
    "slice": lambda t, c: (lambda m, x: cut(m.c(x), 4, 16), {"c": c(20)}),
    "index": lambda t, c: (
        lambda m, x: m.c(x)[:, [5, 1, 2, 0, 4, 3, *range(6, 12)]],
        {"c": c(12)},
    ),
    "channels that are shuffled": lambda t, c: (
        lambda m, x: m.s(m.c(x)),
        {"c": c(12), "s": t.nn.ChannelShuffle(3)},
    ),
    "gate": lambda t, c: (lambda m, x: gate(t, m.c(x)), {"c": c(24)}),
    "glu": lambda t, c: (
        lambda m, x: t.nn.functional.glu(m.c(x), 1),
        {"c": c(24)},
    ),
    "concat": lambda t, c: (
        lambda m, x: t.cat([m.c(x), m.d(x)], 1),
        {"c": c(6), "d": c(6)},
    ),
    "phases of two layers": lambda t, c: (
        lambda m, x: t.cat([m.c(x), m.d(x)], 1),
        {"c": c(2), "d": c(2, 5)},
    ),
    "residual": lambda t, c: (
        lambda m, x: m.b(m.c(x) + m.d(x)),
        {"c": c(12), "d": c(12, bias=False), "b": norm(t, 12)},
    ),
    "norm": lambda t, c: (
        lambda m, x: t.relu(m.b(m.c(x))),
        {"c": c(12, bias=False), "b": norm(t, 12)},
    ),
    "norm behind a nonlinearity": lambda t, c: (
        lambda m, x: m.b(t.relu(m.c(x))),
        {"c": c(12), "b": norm(t, 12)},
    ),
    "scale and shift": lambda t, c: (
        lambda m, x: m.c(x) * m.s + m.b,
        {"c": c(12), "s": numbers(t, 12, 1, 1), "b": numbers(t, 1, 12, 1, 1)},
    ),
    "several times what is added": lambda t, c: (
        lambda m, x: t.sub(m.b, m.c(x).add(m.b, alpha=2), alpha=0.5),
        {"c": c(12), "b": numbers(t, 12, 1, 1)},
    ),
    "slopes": lambda t, c: (
        lambda m, x: m.p(m.b(m.c(x))),
        {"c": c(12), "b": norm(t, 12), "p": t.nn.PReLU(12)},
    ),
    "groups of channels": lambda t, c: (lambda m, x: m.c(x), {"c": c(12, groups=3)}),
    "groups that are normalised": lambda t, c: (
        lambda m, x: m.n(m.c(x)),
        {"c": c(12), "n": t.nn.GroupNorm(3, 12)},
    ),
    "depthwise": lambda t, c: (
        lambda m, x: m.d(m.c(x)),
        {"c": c(12, 1), "d": c(12, taken=12, groups=12)},
    ),
    "excited": lambda t, c: (
        lambda m, x: excited(t, m, m.c(x)),
        {"c": c(12), "d": c(12, 1, 12)},
    ),
    "spectral norm": lambda t, c: (
        lambda m, x: m.c(x),
        {"c": t.nn.utils.spectral_norm(c(12))},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_lies_between_layer_and_pixels(form, parts, torch, normal):
    before, layers = FORMS[form](torch, lambda *a, **k: conv(torch, *a, **k))

    def forward(m, x):
        return torch.nn.functional.pixel_shuffle(before(m, x), 2)

    module, x = parts(forward, **layers), torch.as_tensor(normal(1, 3, SIDE, SIDE))
    mended = fix(module, x)
    assert diagnose(module, x)["ripple_db"] > -30
    assert diagnose(mended, x)["ripple_db"] < -100


def test_the_norm_behind_a_layer_is_read_with_it(parts, torch, normal):
    """Its kernel is moved as little as makes what both do alike, as equations say."""
    shuffle = torch.nn.functional.pixel_shuffle
    module = parts(
        lambda m, x: shuffle(m.b(m.c(x)), 2), c=conv(torch, 4), b=norm(torch, 4)
    )
    x = torch.as_tensor(normal(1, 3, SIDE, SIDE))
    (place,) = diagnose(module, x)["places"]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    mended = fix(module, x)
    b = module.b
    scale = (b.weight / (b.running_var + b.eps) ** 0.5)[:, None, None, None].detach()
    old, new = (scale * m.c.weight.detach() for m in (module, mended))
    gains = old.sum((2, 3))
    expected = old + ((gains.mean(0) - gains) / 9)[:, :, None, None]
    torch.testing.assert_close(new, expected, atol=1e-5, rtol=1e-5)


def test_layers_that_are_used_twice(parts, torch, normal):
    """By two shuffles of other orders, with other features, at two strides."""
    shuffle = torch.nn.functional.pixel_shuffle

    def forward(m, x):
        y = m.c(x)
        y = shuffle(y, 2) + shuffle(y.flip(1), 2) + shuffle(m.c(x.relu()), 2)
        for stride in (2, 3):
            y = torch.nn.functional.conv_transpose2d(y, m.w, stride=stride)
        return y

    module = parts(forward, c=conv(torch, 12), w=numbers(torch, 3, 3, 6, 6))
    x = torch.as_tensor(normal(1, 3, SIDE, SIDE))
    assert diagnose(fix(module, x), x)["ripple_db"] < -100


@pytest.mark.parametrize(
    ("before", "layers", "why"),
    [
        (lambda t, m, x: x.repeat(1, 4, 1, 1) + m.c(x), [12], "model's input"),
        (
            lambda t, m, x: t.cat([m.c(x), m.d(x.relu())], 1),
            [2, 2],
            "different features",
        ),
        (lambda t, m, x: m.c(x).cumsum(1), [12], "still draws"),
        (lambda t, m, x: m.n(m.c(x)), [12], "normalised, each by"),
        (lambda t, m, x: m.g(m.d(x)), [12, 6], "several groups"),
    ],
)
def test_what_stays_is_told_place_by_place(before, layers, why, parts, torch, normal):
    named = {n: conv(torch, k) for n, k in zip("cd", layers, strict=False)}
    named["n"] = torch.nn.InstanceNorm2d(12, affine=True)
    named["g"] = conv(torch, 16, 1, 6, groups=2)

    def forward(m, x):
        stride = 4 if why == "several groups" else 2
        return torch.nn.functional.pixel_shuffle(before(torch, m, x), stride)

    module, x = parts(forward, **named), torch.as_tensor(normal(1, 3, SIDE, SIDE))
    with pytest.warns(UserWarning, match=why):
        mended = fix(module, x)
    assert diagnose(mended, x)["ripple_db"] > -60


SHUFFLE = {"blocksize": 2, "mode": "CRD"}
ONNX_FORMS = {
    "split": [
        ("Conv", ["x", "w"], ["c"], {}),
        ("Split", ["c"], ["a", "b"], {"axis": 1}),
        ("Sigmoid", ["b"], ["s"], {}),
        ("Mul", ["a", "s"], ["e"], {}),
    ],
    "slice": [
        ("Conv", ["x", "w"], ["c"], {}),
        ("Slice", ["c", "four", "end", "one"], ["e"], {}),
    ],
    "gather": [
        ("Conv", ["x", "w"], ["c"], {}),
        ("Gather", ["c", "picked"], ["e"], {"axis": 1}),
    ],
    "concat": [
        ("Conv", ["x", "v"], ["a"], {}),
        ("Conv", ["x", "v"], ["b"], {}),
        ("Concat", ["a", "b"], ["c"], {"axis": 1}),
        ("Concat", ["c", "c"], ["e"], {"axis": 1}),
    ],
    "norm": [
        ("Conv", ["x", "w"], ["c"], {}),
        ("BatchNormalization", ["c", "g", "h", "m", "n"], ["e"], {}),
    ],
    "sum with biases that a node makes": [
        ("Conv", ["x", "w"], ["a"], {}),
        ("Conv", ["x", "u"], ["b"], {}),
        ("Add", ["a", "b"], ["c"], {}),
        ("Reshape", ["h", "upright"], ["k"], {}),
        ("Add", ["k", "c"], ["e"], {}),
    ],
    "sum of a layer and numbers": [
        ("Conv", ["x", "w"], ["a"], {}),
        ("Sum", ["a", "l"], ["e"], {}),
    ],
    "groups as exporters write them": [
        ("Conv", ["x", "w"], ["a"], {}),
        ("Reshape", ["a", "grouped"], ["b"], {}),
        ("InstanceNormalization", ["b", "ones", "zeros"], ["c"], {}),
        ("Shape", ["a"], ["shape"], {}),
        ("Reshape", ["c", "shape"], ["d"], {}),
        ("Mul", ["d", "scale"], ["e"], {}),
    ],
}


@pytest.mark.parametrize("form", ONNX_FORMS)
def test_onnx_files(form, normal, tmp_path):
    count = 12 if form == "norm" or form.startswith("sum") else 24
    weights = {
        "w": normal(count, 3, 3, 3),
        "u": normal(count, 3, 3, 3),
        "v": normal(6, 3, 3, 3),
        "four": np.array([4]),
        "end": np.array([16]),
        "one": np.array([1]),
        "picked": np.array([9, *range(11)]),
        **{name: normal(12) for name in "ghm"},
        "n": np.abs(normal(12)) + 0.5,
        "l": normal(12, 1, 1),
        "upright": np.array([1, 12, 1, 1]),
        "grouped": np.array([0, 6, -1]),
        "ones": np.ones(6, np.float32),
        "zeros": np.zeros(6, np.float32),
        "scale": normal(24, 1, 1),
    }
    nodes = [*ONNX_FORMS[form], ("DepthToSpace", ["e"], ["y"], SHUFFLE)]
    read = {name for node in nodes for name in node[1]}
    weights = {name: x for name, x in weights.items() if name in read}
    path = onnx_file(tmp_path / "model.onnx", nodes, weights)
    record = fix_file(path, tmp_path / "mended.onnx")
    assert record["ripple_before_db"] > -30
    assert record["ripple_after_db"] < -100
    assert fix_file(tmp_path / "mended.onnx", tmp_path / "x.onnx")["changes"] == []


@pytest.mark.parametrize("added", [False, True])
def test_products_that_are_multiplied_by_a_number(added, normal, tmp_path):
    """ONNX's Gemm multiplies its product and its biases, which may lie in a row."""
    weights = {
        "flat": np.array([-1, 3]),
        "w": normal(3, 12),
        "c": normal(1, 12),
        "e": normal(12),
        "apart": np.array([1, SIDE, SIDE, 2, 2, 3]),
        "image": np.array([1, 3, 2 * SIDE, 2 * SIDE]),
    }
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Transpose", ["x"], ["a"], {"perm": [0, 2, 3, 1]}),
            ("Reshape", ["a", "flat"], ["b"], {}),
            ("Gemm", ["b", "w", "c"], ["d"], {"alpha": 3.0, "beta": 0.5}),
            ("Add", ["d", "e"], ["f"], {}),
            ("Reshape", ["f" if added else "d", "apart"], ["g"], {}),
            ("Transpose", ["g"], ["h"], {"perm": [0, 5, 1, 3, 2, 4]}),
            ("Reshape", ["h", "image"], ["y"], {}),
        ],
        weights,
        shape=[1, 3, SIDE, SIDE],
    )
    (place,) = diagnose(path)["places"]
    bias = 0.5 * weights["c"] + added * weights["e"]
    spread = np.sqrt(bias.reshape(4, 3).var(0).mean())
    assert place["bias_spread"] == pytest.approx(spread, rel=1e-4)
    assert fix_file(path, tmp_path / "mended.onnx")["ripple_after_db"] < -100


def test_numbers_of_each_pixel_are_no_biases(normal, tmp_path):
    """A file may have them repeated; those of the layer itself take what is needed."""
    biases = np.broadcast_to(normal(12, 1, 1), (12, SIDE - 2, SIDE - 2))
    nodes = [
        ("Conv", ["x", "w", "b"], ["c"], {}),
        ("Add", ["c", "k"], ["d"], {}),
        ("DepthToSpace", ["d"], ["y"], SHUFFLE),
    ]
    weights = {"w": normal(12, 3, 3, 3), "b": normal(12), "k": biases.copy()}
    path = tmp_path / "model.onnx"
    onnx_file(path, nodes, weights, shape=[1, 3, SIDE, SIDE])
    assert fix_file(path, tmp_path / "mended.onnx")["ripple_after_db"] < -100
    nodes[0][1].pop()
    nodes.insert(2, ("Relu", ["d"], ["r"], {}))
    nodes[3][1][0] = "r"
    del weights["b"]
    onnx_file(path, nodes, weights, shape=[1, 3, SIDE, SIDE])
    record = fix_file(path, tmp_path / "again.onnx")
    assert not record["clean"]
    assert any("is no bias of the model" in x for x in record["about"])


def test_what_still_draws_is_told(normal, tmp_path):
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Concat", ["x"] * 4, ["c"], {"axis": 1}),
            ("DepthToSpace", ["c"], ["y"], SHUFFLE),
        ],
        {},
    )
    record = fix_file(path, tmp_path / "mended.onnx")
    (told,) = (x for x in record["about"] if "stays as it is" in x)
    assert "model's input itself" in told
    cure = diagnose(path)["places"][0]["cure"]
    assert "where the channels are made" in cure


def test_kernels_behind_parts_and_norms_are_read_in_jax(normal):
    weight, scale, shift = normal(3, 24), normal(12), normal(12)

    def function(x):
        y = (x @ weight)[..., 8:20] * scale[None, None, None] - shift[None, None, None]
        b, h, w, _ = y.shape
        y = y.reshape(b, h, w, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(b, 2 * h, 2 * w, 3)

    (place,) = diagnose(function, normal(1, SIDE, SIDE, 3))["places"]
    gains = jnp.asarray(weight[:, 8:20] * scale).reshape(3, 4, 3)
    expected = 10 * np.log10(gains.var(1).mean() / (gains.mean(1) ** 2).mean())
    assert place["gain_spread_db"] == pytest.approx(expected, abs=1e-3)
    spread = np.sqrt(shift.reshape(4, 3).var(0).mean())
    assert place["bias_spread"] == pytest.approx(spread, abs=1e-5)
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
