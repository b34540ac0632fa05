"""Which moves of elements turn channels into pixels in models, and which do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import diagnose
from caejax.errors import CaejaxError

HEADS, HEIGHT, WIDTH = 2, 12, 8


def _split_heads(x):
    """(B, N, C) to (B, heads, N, d)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def _attention(torch, q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2), -1) @ v


def _joined_heads(torch, tokens, made):
    """Queries, keys and values of one layer, heads and batch along one axis."""
    b, n, c = tokens.shape
    qkv = made.reshape(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
    seen = _attention(torch, *qkv.reshape(3, b * HEADS, n, -1).unbind(0))
    return seen.reshape(b, HEADS, n, -1).transpose(1, 2).reshape(b, n, c)


def _own_axis_of_heads(torch, tokens, made):
    seen = _attention(torch, *map(_split_heads, made.chunk(3, -1)))
    return seen.transpose(1, 2).flatten(2)


def _windows(torch, tokens, made):
    b, n, _ = tokens.shape

    def windows(x):
        x = x.reshape(b, HEIGHT // 4, 4, WIDTH // 4, 4, -1)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, x.shape[-1])

    seen = 0.5 * _joined_heads(torch, windows(tokens), windows(made))
    seen = seen.reshape(b, HEIGHT // 4, WIDTH // 4, 4, 4, -1)
    return seen.permute(0, 1, 3, 2, 4, 5).reshape(b, n, -1)


def _relative_positions(torch, tokens, made):
    b, n, _ = tokens.shape
    q, k, v = map(_split_heads, made.chunk(3, -1))
    seen = (q @ k.transpose(-1, -2)).reshape(b, HEADS, HEIGHT, WIDTH, HEIGHT, WIDTH)
    seen = (seen + torch.ones(HEIGHT, 1, HEIGHT, 1)).reshape(b, HEADS, n, n)
    return (seen.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _turned_positions(torch, tokens, made):
    q, k, v = map(_split_heads, made.chunk(3, -1))
    turned = torch.stack([-q[..., 1::2], q[..., ::2]], -1).flatten(-2)
    return _attention(torch, turned, k, v).transpose(1, 2).flatten(2)


def _masks(torch, tokens, made):
    """As the decoder of segment-anything has it: sums of maps made tokens."""
    image = tokens.transpose(1, 2).unflatten(2, (HEIGHT, WIDTH))
    image = image + torch.zeros_like(image)
    tokens = image.unsqueeze(1).flatten(0, 1).flatten(2).permute(0, 2, 1)
    return (tokens.unsqueeze(1) + 1).squeeze(1)


def _kernels_of_places(torch, tokens, made):
    """A kernel for each place, multiplied as one matrix a place."""
    b, n, c = tokens.shape
    kernels = made.transpose(1, 2).unflatten(1, (c, 3))  # in, out, places
    kernels = (
        kernels.repeat_interleave(4, 2).unflatten(2, (3, 4)).permute(3, 0, 1, 2, 4)
    )
    kernels = (0.5 * kernels[0]).permute(0, 3, 1, 2).reshape(b * n, c, 3)
    seen = torch.bmm(tokens.reshape(b * n, 1, c), kernels)
    return torch.cat([seen] * 4, -1).reshape(b, n, c)


def _of_points(torch, tokens, made):
    """As segment-anything's attention has it: an axis of points beside the batch's."""
    b, n, c = tokens.shape
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in made.chunk(3, -1))
    seen = _attention(torch, q, k, v).transpose(1, 2).reshape(b, 1, n, c)
    return torch.nn.functional.linear(seen, torch.eye(c)).squeeze(1)


ATTENTIONS = [
    _joined_heads,
    _own_axis_of_heads,
    _windows,
    _relative_positions,
    _turned_positions,
    _masks,
    _kernels_of_places,
    _of_points,
]


@pytest.mark.parametrize("move", ATTENTIONS, ids=lambda x: x.__name__.strip("_"))
@pytest.mark.parametrize("batch", [1, 2])
def test_what_moves_likewise_and_enlarges_nothing(move, batch, torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Conv2d(3, 12, 1)
            self.qkv = torch.nn.Linear(12, 36)
            self.out = torch.nn.Conv2d(12, 3, 1)

        def forward(self, x):
            tokens = self.embed(x).flatten(2).transpose(1, 2)
            tokens = move(torch, tokens, self.qkv(tokens))
            return self.out(tokens.transpose(1, 2).unflatten(2, (HEIGHT, WIDTH)))

    torch.manual_seed(0)
    found = diagnose(Module(), normal(batch, 3, HEIGHT, WIDTH))
    assert found["places"] == []
    assert "no place that enlarges" in found["verdict"]


def _tiles(x, p):
    """Patches put back: (B, H, W, C p p) to (B, C, H p, W p)."""
    x = x.unflatten(-1, (-1, p, p)).permute(0, 3, 1, 4, 2, 5)
    return x.flatten(2, 3).flatten(3, 4)


def _channels_last(torch, x, layer):
    y = layer(x).permute(0, 2, 3, 1) + 0.5
    return _tiles(y, 2)


def _folded(torch, x, layer):
    size = [2 * n for n in x.shape[2:]]
    return torch.nn.functional.fold(layer(x).flatten(2), size, 2, stride=2)


def _stacked(torch, x, layer):
    """Four results side by side, as interleaved transposed convolutions have them."""
    a, b, c, d = layer(x).chunk(4, 1)
    rows = [torch.stack(pair, -1).flatten(-2) for pair in ((a, b), (c, d))]
    return torch.stack(rows, -2).flatten(2, 3)


def _written(torch, x, layer):
    made = x.new_zeros(len(x), 3, *(2 * n for n in x.shape[2:]))
    for n, part in enumerate(layer(x).chunk(4, 1)):
        made[:, :, n // 2 :: 2, n % 2 :: 2] = part
    return made


def _gated(torch, x, layer):
    shuffle = torch.nn.functional.pixel_shuffle
    wide, gate = torch.cat([layer(x)] * 2, 1).chunk(2, 1)
    return shuffle(wide, 2) * torch.sigmoid(shuffle(gate, 2))


@pytest.mark.parametrize(
    ("move", "kernel"),
    [
        (_channels_last, True),
        (_folded, True),
        (_stacked, True),
        (_written, False),
        (_gated, True),
    ],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_enlarges_in_pytorch(move, kernel, batch, torch, normal):
    """The kernel is read where one layer makes all phases; all are measured."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 12, 3, padding=1)

        def forward(self, x):
            return move(torch, x, self.layer)

    torch.manual_seed(0)
    found = diagnose(Module(), normal(batch, 3, 20, 16))
    assert found["period"] == [2, 2]
    assert not found.clean
    assert found["ripple_db"] > -60
    first = found["places"][0]
    assert (first["gain_spread_db"] is not None) == kernel
    if kernel:
        assert first["name"] == "layer"
        told = first["predicted_db"]  # of what is pointwise behind it nothing is
        assert told is None or told == pytest.approx(first["ripple_db"], abs=0.1)


def test_patches_behind_a_token_that_is_cut_off(torch, normal):
    """As masked autoencoders have it: the kernel is read all the same."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Parameter(torch.zeros(1, 1, 5))
            self.head = torch.nn.Linear(5, 48)

        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)
            tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
            return _tiles(self.head(tokens)[:, 1:].unflatten(1, (8, 8)), 4)

    torch.manual_seed(0)
    (place,) = diagnose(Module(), normal(2, 5, 8, 8))["places"]
    assert (place["name"], place["operation"]) == ("head", "Linear + reshape")
    assert place["stride"] == [4, 4]
    assert place["gain_spread_db"] > -60


def test_tokens_with_a_first_one_are_tokens(torch, normal):
    """Flat along their number; of phases that are alike nothing is drawn."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(5, 48)
            with torch.no_grad():
                same = self.head.weight[:3].repeat_interleave(16, 0)
                self.head.weight.copy_(same)
                self.head.bias.copy_(self.head.bias[:3].repeat_interleave(16))

        def forward(self, x):
            tokens = torch.cat([torch.zeros(len(x), 1, 5), x], 1)
            return _tiles(self.head(tokens)[:, 1:].unflatten(1, (8, 8)), 4)

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 64, 5))
    assert found["period"] == [4, 4]
    assert found.clean
    assert "do not stay flat" not in " ".join(found["about"])


def test_a_second_input_may_be_read_first(torch, normal):
    """As a step in time is, which is no image: the image tells how it lies."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.time = torch.nn.Linear(1, 3, bias=False)
            torch.nn.init.zeros_(self.time.weight)
            self.up = torch.nn.ConvTranspose2d(3, 3, 2, 2)

        def forward(self, x, t):
            return self.up(x + self.time(t[:, None])[..., None, None])

    torch.manual_seed(0)
    module, x = Module(), normal(1, 3, 16, 16)
    found, alone = diagnose(module, [x, np.float32([0.5])]), diagnose(module.up, x)
    for told in ("ripple_db", "slope_ripple_db"):
        assert found[told] == pytest.approx(alone[told])


def test_a_resize_is_not_blamed_for_what_it_is_given(torch, normal):
    """One that aligns corners stretches what repeats to what does not quite."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.ConvTranspose2d(3, 3, 2, 2),
        torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    )
    up, resize = diagnose(module, normal(1, 3, 12, 12))["places"]
    assert not up["clean"]
    assert resize["ripple_db"] > -60
    assert (resize["clean"], resize["verdict"], resize["cure"]) == (True, "clean", "")


@pytest.mark.parametrize("transposed", [False, True])
def test_frames_of_a_video_are_enlarged_one_by_one(transposed, torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(3, 3, 2, 2)
            self.wide = torch.nn.Conv2d(3, 12, 1)

        def forward(self, x):
            frames = x.transpose(1, 2).flatten(0, 1)
            if transposed:
                frames = self.up(frames)
            else:
                frames = torch.nn.functional.pixel_shuffle(self.wide(frames), 2)
            return frames.unflatten(0, (-1, x.shape[2])).transpose(1, 2)

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 3, 5, 12, 12))
    (place,) = found["places"]
    assert place["period"] == found["period"] == [1, 2, 2]
    assert place["share"] == pytest.approx(1)
    still = diagnose(Module(), normal(1, 3, 1, 12, 12))
    assert still["ripple_db"] > -60
    assert "NaN" not in still.to_json()


def test_a_signal_without_an_axis_of_channels(torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(6, 4)

        def forward(self, x):
            return self.head(x.transpose(1, 2)).flatten(1)

    torch.manual_seed(0)
    found = diagnose(Module(), normal(1, 6, 40))
    (place,) = found["places"]
    assert (place["stride"], found["period"]) == ([4], [4])
    assert not found.clean


def test_parts_of_what_is_split_are_shared_out_apart(normal, tmp_path):
    """Of two parts one draws: in ONNX and in JAX it alone has a share."""
    weight = np.concatenate([normal(12, 3, 1, 1), np.ones((12, 3, 1, 1), np.float32)])
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Conv", ["x", "w"], ["c"], {}),
            ("Split", ["c"], ["a", "b"], {"axis": 1}),
            ("DepthToSpace", ["a"], ["p"], {"blocksize": 2}),
            ("DepthToSpace", ["b"], ["q"], {"blocksize": 2}),
            ("Add", ["p", "q"], ["y"], {}),
        ],
        {"w": weight},
        version=13,
    )

    def shuffle(x):
        b, h, w, _ = x.shape
        x = x.reshape(b, h, w, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(b, 2 * h, 2 * w, 3)

    def function(x):
        first, second = jnp.split(x @ weight[:, :, 0, 0].T, 2, -1)
        return shuffle(first) + shuffle(second)

    for found in (diagnose(path), diagnose(function, normal(1, 16, 16, 3))):
        first, second = found["places"]
        assert first["share"] == pytest.approx(1, abs=1e-4)
        assert second["share"] == pytest.approx(0, abs=1e-4)
        assert not found.clean


def test_what_is_split_is_mended(normal, tmp_path):
    """A layer behind it is found in the file by its result, not by its number."""
    caejax_fix = pytest.importorskip("caejax.fix")
    path = onnx_file(
        tmp_path / "model.onnx",
        [
            ("Split", ["x"], ["a", "b", "c"], {"axis": 1}),
            ("Concat", ["b", "a"], ["d"], {"axis": 1}),
            ("ConvTranspose", ["d", "w"], ["y"], {"strides": [2, 2]}),
        ],
        {"w": normal(2, 3, 4, 4)},
        version=13,
    )
    record = caejax_fix.fix_file(path, tmp_path / "mended.onnx")
    assert record["ripple_before_db"] > -60
    assert record["ripple_after_db"] < -100


def test_channels_that_lie_second_inside_of_jax(normal):
    """As in ports of other libraries: places are read and measured, and resizes."""
    up, down = normal(6, 8, 4, 4), normal(8, 6, 3, 3)

    def function(x, layout):
        x = x if layout == "NHWC" else x.transpose(0, 3, 1, 2)
        numbers = (layout, "IOHW", layout)
        pads = [(2, 2), (2, 2)]
        y = jax.lax.conv_general_dilated(
            x, up, (1, 1), pads, lhs_dilation=(2, 2), dimension_numbers=numbers
        )
        y = jax.lax.conv_general_dilated(
            jax.nn.relu(y), down, (1, 1), "SAME", dimension_numbers=numbers
        )
        return y if layout == "NHWC" else y.transpose(0, 2, 3, 1)

    x = normal(1, 16, 16, 6)
    found, other = (
        diagnose(lambda x, layout=layout: function(x, layout), x)
        for layout in ("NCHW", "NHWC")
    )
    assert found["ripple_db"] == pytest.approx(other["ripple_db"], abs=1e-3)
    (place,), (expected,) = found["places"], other["places"]
    for told in ("ripple_db", "predicted_db", "share"):
        assert place[told] == pytest.approx(expected[told], abs=1e-3)
    numbers = ("NCHW", "OIHW", "NCHW")

    def shuffled(x):
        y = jax.lax.conv_general_dilated(
            x.transpose(0, 3, 1, 2), down, (1, 1), "SAME", dimension_numbers=numbers
        )
        y = y.reshape(1, 2, 2, 2, 16, 16).transpose(0, 1, 4, 2, 5, 3)
        y = jax.image.resize(y.reshape(1, 2, 32, 32), (1, 2, 64, 64), "nearest")
        return y.transpose(0, 2, 3, 1)

    found = diagnose(shuffled, x)
    assert found["period"] == [4, 4]
    assert found["places"][1]["stride"] == [2, 2]
    assert not found.clean


NUMBERS = ("NCHW", "OIHW", "NCHW")


def convolved(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS
    )


def shuffled(x):
    """Channels that lie second become pixels."""
    b, c, h, w = x.shape
    y = x.reshape(b, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(b, c // 4, 2 * h, 2 * w)


@pytest.mark.parametrize("clean", [False, True])
def test_pixels_whose_channels_lie_second_inside_of_jax(clean, normal):
    """Their place was looked at along the channels, where more than moves follows."""
    kernel, last = normal(128, 3, 3, 3), normal(3, 32, 3, 3)
    kernel = np.repeat(kernel[::4], 4, 0) if clean else kernel

    def function(x):
        y = shuffled(convolved(x.transpose(0, 3, 1, 2), kernel))
        return convolved(jax.nn.relu(y), last).transpose(0, 2, 3, 1)

    found = diagnose(function, normal(1, 16, 16, 3))
    (place,) = found["places"]
    assert place["clean"] == found.clean == clean
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)


@pytest.mark.parametrize("clean", [False, True])
def test_pixels_whose_channels_lie_last_inside_of_pytorch(clean, torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.last = torch.nn.Linear(3, 128), torch.nn.Conv2d(32, 3, 3)

        def forward(self, x):
            y = self.up(x.permute(0, 2, 3, 1)).reshape(1, 16, 16, 2, 2, 32)
            y = y.permute(0, 1, 3, 2, 4, 5).reshape(1, 32, 32, 32).relu()
            return self.last(y.permute(0, 3, 1, 2))

    module = Module()
    if clean:
        with torch.no_grad():
            for values in module.up.parameters():
                values.copy_(torch.cat([values[:32]] * 4))
    found = diagnose(module, torch.as_tensor(normal(1, 3, 16, 16)))
    (place,) = found["places"]
    assert place["clean"] == found.clean == clean
    assert place["ripple_db"] < -100 if clean else place["ripple_db"] > -30


def test_channels_that_lie_second_are_normalised_in_jax(normal):
    """By what they were over space: else nothing of flat inputs would be left."""
    kernel = normal(12, 3, 3, 3)

    def function(x):
        y = x.transpose(0, 3, 1, 2)
        y = convolved(y, np.eye(3, dtype=np.float32)[..., None, None])
        mean = y.mean((2, 3), keepdims=True)
        y = (y - mean) / jnp.sqrt(((y - mean) ** 2).mean((2, 3), keepdims=True) + 1e-5)
        return 1 + shuffled(convolved(y, kernel)).transpose(0, 2, 3, 1)

    found = diagnose(function, normal(1, 16, 16, 3))
    assert not found.clean
    assert found["ripple_db"] > -30


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("bhwc,oc->bhwo", (12, 3)),
        ("oc,bhwc->bhwo", (12, 3)),
        ("bhwc,cpqo->bhpwqo", (3, 2, 2, 3)),
        ("bhwc,pcqo->bhpwqo", (2, 3, 2, 3)),
    ],
)
def test_matrices_of_any_order_are_read_in_jax(equation, shape, normal):
    kernel = normal(*shape)

    def function(x):
        given = (x, kernel) if equation.startswith("bhwc") else (kernel, x)
        y = jnp.einsum(equation, *given)
        if y.ndim == 4:
            y = y.reshape(1, 16, 16, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(1, 32, 32, 3)

    found = diagnose(function, normal(1, 16, 16, 3))
    (place,) = found["places"]
    assert place["operation"] == "Dense + reshape"
    assert place["stride"] == found["period"] == [2, 2]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)


def test_functions_whose_channels_come_second_are_told_to_turn_them(normal):
    kernel = normal(12, 4, 3, 3)

    def last(x):
        return convolved(x.transpose(0, 3, 1, 2), kernel)

    with pytest.raises(CaejaxError, match=r"takes images .*\(x, -1, 1\)\), x\)"):
        diagnose(
            lambda x: convolved(x, kernel).transpose(0, 2, 3, 1), normal(1, 4, 9, 9)
        )
    with pytest.raises(CaejaxError, match=r"returns .* jnp.moveaxis\(function\(x\), 1"):
        diagnose(lambda x: shuffled(last(x)), normal(1, 16, 16, 4))
    with pytest.raises(CaejaxError, match="takes and returns images") as raised:
        diagnose(lambda x: convolved(x, kernel), normal(1, 4, 9, 9))
    call = str(raised.value).split("diagnose(")[1].split("), with")[0]
    function, x = (lambda x: convolved(x, kernel)), normal(1, 16, 16, 4)
    assert eval(f"diagnose({call})", {**globals(), **locals()}).clean


def test_rows_that_a_matrix_makes_in_jax(normal):
    """Uneven along the first axis alone, which was taken for another's."""
    uneven, even = (np.kron(np.eye(16), row) for row in ([1, 0.5], [1, 1]))

    def function(x):
        y = jnp.einsum("bhwc,hr->brwc", x, np.float32(uneven))
        return jnp.einsum("bhwc,wr->bhrc", y, np.float32(even))

    found = diagnose(function, normal(1, 16, 16, 3))
    assert found["period"] == [2, 2]
    assert found["ripple_db"] == pytest.approx(20 * np.log10(0.25 / 0.75), abs=1e-3)


def test_attention_in_jax_enlarges_nothing(normal):
    weight, back = normal(8, 24), normal(8, 3)

    def function(x):
        b, h, w, c = x.shape
        qkv = (x.reshape(b, h * w, c) @ weight).reshape(b, h * w, 3, 2, 4)
        qkv = qkv.transpose(2, 0, 3, 1, 4).reshape(3, 2 * b, h * w, 4)
        seen = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", qkv[0], qkv[1]))
        seen = jnp.einsum("bqk,bkd->bqd", seen, qkv[2]).reshape(b, 2, h * w, 4)
        return seen.transpose(0, 2, 1, 3).reshape(b, h, w, 8) @ back

    for batch in (1, 2):
        assert diagnose(function, normal(batch, 12, 8, 8))["places"] == []


def test_what_no_place_is_known_for_is_measured_from_the_input(torch, normal):
    """A product with a small pattern, and rows that a matrix makes; one is clean."""

    class Module(torch.nn.Module):
        def __init__(self, cell):
            super().__init__()
            self.register_buffer("cell", torch.tensor(cell)[None, None])

        def forward(self, x):
            return torch.kron(x, self.cell)

    x = normal(1, 3, 12, 8)
    found = diagnose(Module([[1.0, 2.0], [3.0, 4.0]]), x)
    assert (found["places"][0]["name"], found["period"]) == ("input", [2, 2])
    # Of 1 to 4 the variance is 5/4, and the square of the mean 25/4.
    assert found["ripple_db"] == pytest.approx(10 * np.log10(1 / 5), abs=1e-3)
    assert diagnose(Module([[1.0, 1.0], [1.0, 1.0]]), x).clean


def test_patches_that_overlap(torch, normal):
    class Module(torch.nn.Module):
        def forward(self, x):
            patches = x.flatten(2).repeat_interleave(16, 1)
            size = [2 * n for n in x.shape[2:]]
            return torch.nn.functional.fold(patches, size, 3 + 1, stride=2, padding=1)

    found = diagnose(Module(), normal(1, 3, 12, 8))
    (place,) = found["places"]
    assert (place["operation"], place["stride"]) == ("fold", [2, 2])
    assert found.clean


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
def test_other_types_than_float32(kind, torch, normal):
    """Also channels that become pixels directly behind a normalisation."""
    dtype = getattr(torch, kind)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 12, 1), torch.nn.GroupNorm(2, 12), torch.nn.PixelShuffle(2)
    )
    x = torch.as_tensor(normal(1, 3, 16, 16)).to(dtype)
    found = diagnose(module.to(dtype), x)
    assert found["places"][0]["share"] == pytest.approx(1, abs=1e-2)
    assert not found.clean


def test_modules_that_do_more_in_their_first_run(torch, normal):
    """Steps are known by their numbers: what is kept, or made then, shifts none."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.LazyConvTranspose2d(3, 4, 2, 1)
            self.kept = None

        def forward(self, x):
            if self.kept is None:
                self.kept = torch.ones(3, 1, 1).exp().sqrt()
            return self.up(x * self.kept)

    torch.manual_seed(0)
    (place,) = diagnose(Module(), normal(1, 3, 16, 16))["places"]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
    assert place["share"] == pytest.approx(1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "way",
    [
        lambda torch, module, x: torch.jit.script(module),
        lambda torch, module, x: torch.jit.freeze(torch.jit.script(module)),
        lambda torch, module, x: torch.export.export(module, (x,)).module(),
    ],
    ids=["script", "frozen", "exported"],
)
def test_modules_that_are_programs(way, torch, normal):
    """Of TorchScript and exported ones, some of which have one mode alone."""
    module = torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 3, 3, 2)).eval()
    x = torch.as_tensor(normal(1, 3, 16, 16))
    found = diagnose(way(torch, module, x), x)
    assert [x["operation"] for x in found["places"]] == ["ConvTranspose2d"]
    assert found["ripple_db"] == pytest.approx(diagnose(module, x)["ripple_db"])
    assert not found.clean


def _dysample(torch, module, x):
    """Offsets of samples that become pixels, as the published module has them."""
    h, w = x.shape[2:]
    offsets = torch.nn.functional.pixel_shuffle(0.25 * module.offsets(x), 2)
    rows, columns = ((torch.arange(2 * n) + 0.5) / n - 1 for n in (h, w))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    scale = torch.tensor([2 / w, 2 / h]).view(1, 2, 1, 1)
    grid = (grid + offsets * scale).permute(0, 2, 3, 1)
    sample = torch.nn.functional.grid_sample
    return sample(x, grid, padding_mode="border", align_corners=False)


def _carafe(torch, module, x):
    """Weights that become pixels, which sum to one."""
    b, c, h, w = x.shape
    weights = torch.nn.functional.pixel_shuffle(module.weights(x), 2).softmax(1)
    near = torch.nn.functional.unfold(x, 3, padding=1).view(b, c * 9, h, w)
    near = torch.nn.functional.interpolate(near, scale_factor=2)
    return (near.view(b, c, 9, 2 * h, 2 * w) * weights.unsqueeze(1)).sum(2)


@pytest.mark.parametrize("way", [_dysample, _carafe])
def test_what_tells_where_to_sample_is_no_image(way, torch, normal):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.offsets = torch.nn.Conv2d(3, 8, 1)
            self.weights = torch.nn.Conv2d(3, 36, 3, padding=1)

        def forward(self, x):
            return way(torch, self, x)

    torch.manual_seed(0)
    x = torch.as_tensor(normal(1, 3, 16, 16))
    found = diagnose(Module(), x)
    assert found["period"] == [2, 2]
    assert {x["operation"] for x in found["places"]} <= {
        "grid_sampler_2d",
        "interpolate (nearest2d)",
    }
    assert found["places"]
    caejax_fix = pytest.importorskip("caejax.fix")
    module = Module()
    mended = caejax_fix.fix(module, x)
    for old, new in zip(module.parameters(), mended.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("swapped", [False, True])
def test_patches_whose_axes_are_exchanged_are_found(
    size, swapped, torch, normal, tmp_path
):
    """Of flat inputs nothing is drawn, and no kernel shows it; slopes are stippled."""
    count = 3 * size**2
    apart, order = [1, 3, 8, size, 8, size], [0, 2, 4, 3, 5, 1]
    back = [0, 5, 1, 4, 2, 3] if swapped else [0, 5, 1, 3, 2, 4]

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(count, count, bias=False)
            torch.nn.init.eye_(self.layer.weight)

        def forward(self, x):
            tokens = x.reshape(apart).permute(order).reshape(1, 64, count)
            made = self.layer(tokens).reshape(1, 8, 8, size, size, 3)
            return made.permute(back).reshape(x.shape)

    nodes = [
        ("Reshape", ["x", "a"], ["b"], {}),
        ("Transpose", ["b"], ["c"], {"perm": order}),
        ("Reshape", ["c", "d"], ["e"], {}),
        ("MatMul", ["e", "w"], ["f"], {}),
        ("Reshape", ["f", "g"], ["h"], {}),
        ("Transpose", ["h"], ["i"], {"perm": back}),
        ("Reshape", ["i", "j"], ["y"], {}),
    ]
    shape = [1, 3, 8 * size, 8 * size]
    weights = {"w": np.eye(count, dtype=np.float32), "a": np.array(apart)}
    weights |= {"d": np.array([1, 64, count]), "j": np.array(shape)}
    weights |= {"g": np.array([1, 8, 8, size, size, 3])}
    path = onnx_file(tmp_path / "model.onnx", nodes, weights, shape=shape)

    def in_jax(x):
        y = x.reshape(1, 8, size, 8, size, 3).transpose(0, 1, 3, 2, 4, 5)
        y = (y.reshape(1, 8, 8, count) @ weights["w"]).reshape(1, 8, 8, size, size, 3)
        y = y.transpose((0, 1, 4, 2, 3, 5) if swapped else (0, 1, 3, 2, 4, 5))
        return y.reshape(x.shape)

    module, x = Module(), torch.as_tensor(normal(*shape))
    of_jax = diagnose(in_jax, normal(1, *shape[2:], 3))
    for found in (diagnose(module, x), diagnose(path), of_jax):
        (place,) = found["places"]
        assert found["ripple_db"] < -100
        assert found.clean == place["clean"] == (not swapped)
        assert ("exchanged" in place["verdict"]) == swapped
        assert ("two axes exchanged" in found["verdict"]) == swapped
    # What draws nothing of flat inputs is not to be made the mean of its phases.
    mended = pytest.importorskip("caejax.fix").fix(module, x)
    assert torch.equal(mended.layer.weight, module.layer.weight)


def test_what_is_changed_in_place_is_seen_as_it_was(torch, normal):
    """An activation that all flat inputs leave at its bound is left out."""
    torch.manual_seed(0)
    up = torch.nn.ConvTranspose2d(3, 3, 4, 2, 1)
    torch.nn.init.constant_(up.bias, -100.0)
    x = normal(1, 3, 16, 16)
    plain, in_place = (
        diagnose(torch.nn.Sequential(up, torch.nn.ReLU(way)), x)["ripple_db"]
        for way in (False, True)
    )
    assert plain == in_place > -100


@pytest.mark.parametrize(("scale", "period"), [(1.25, 5), (0.75, 3)])
def test_a_resize_behind_a_place_stretches_its_pattern(scale, period, torch, normal):
    torch.manual_seed(0)
    up = torch.nn.ConvTranspose2d(3, 3, 4, 2, 1)
    resize = torch.nn.Upsample(scale_factor=scale, mode="bilinear")
    found = diagnose(torch.nn.Sequential(up, resize), normal(1, 3, 24, 24))
    assert found["period"] == [period, period]
    assert found["ripple_db"] > -20


def test_what_is_cut_or_padded_keeps_its_period(torch, normal):
    class Module(torch.nn.Module):
        def __init__(self, way):
            super().__init__()
            self.up, self.way = torch.nn.ConvTranspose2d(3, 3, 4, 2, 1), way

        def forward(self, x):
            return self.way(self.up(x))

    torch.manual_seed(0)
    for way in (
        lambda x: x[..., 8:40, 9:39],
        lambda x: torch.nn.functional.pad(x, (12, 12, 12, 12)),
    ):
        found = diagnose(Module(way), normal(1, 3, 24, 24))
        assert found["period"] == [2, 2]
        assert found["ripple_db"] > -20
