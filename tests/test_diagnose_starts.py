"""Features that become a map behind dense layers, or by constants, are no pattern."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import diagnose
from caejax.errors import CaejaxError
from caejax.fix import fix

CODE, CHANNELS, SIDE = 16, 32, 7


def generator(torch, start, decoder):
    """A module whose decoder is given what `start`, a function of codes, makes."""

    class Generator(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(CODE, CHANNELS * SIDE**2)
            self.first = torch.nn.ConvTranspose2d(CODE, CHANNELS, SIDE, 2)
            self.style = torch.nn.Linear(CODE, CHANNELS)
            self.const = torch.nn.Parameter(torch.randn(1, CHANNELS, SIDE, SIDE))
            self.place = torch.nn.Parameter(torch.randn(1, SIDE**2, CHANNELS))
            self.mix = torch.nn.Linear(CHANNELS, CHANNELS)
            self.decoder = decoder

        def forward(self, z):
            return self.decoder(start(self, z))

    return Generator()


def dense(module, z):
    return module.fc(z).view(-1, CHANNELS, SIDE, SIDE).relu()


def one_pixel(module, z):
    return module.first(z[:, :, None, None])


def constant(module, z):
    return module.const * module.style(z)[:, :, None, None]


def tokens(module, z):
    there = module.fc(z).view(-1, SIDE**2, CHANNELS) + module.place
    made = module.mix(there.softmax(-1))
    return made.transpose(1, 2).reshape(-1, CHANNELS, SIDE, SIDE)


STARTS = (dense, one_pixel, constant, tokens)


def resizes(torch):
    return torch.nn.Sequential(
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Conv2d(CHANNELS, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Conv2d(8, 1, 3, padding=1),
    )


def deconvolutions(torch):
    return torch.nn.Sequential(
        torch.nn.ConvTranspose2d(CHANNELS, 8, 3, 2, 1, 1),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(8, 8, 4, 2, 1),
        torch.nn.Conv2d(8, 12, 3, padding=1),
        torch.nn.PixelShuffle(2),
    )


@pytest.mark.parametrize("start", STARTS)
def test_resizes_behind_what_makes_a_map_are_clean(start, torch, normal):
    torch.manual_seed(0)
    module = generator(torch, start, resizes(torch))
    found = diagnose(module, normal(4, CODE))
    assert found.clean
    assert found["ripple_db"] < -100
    size = f"{CHANNELS}x49" if start is tokens else f"{CHANNELS}x7x7"
    assert f"flat features of {size} behind" in found["verdict"]


@pytest.mark.parametrize("start", STARTS[:3])
def test_a_decoder_draws_what_it_draws_without_a_dense_layer(start, torch, normal):
    torch.manual_seed(0)
    module = generator(torch, start, deconvolutions(torch))
    z = torch.from_numpy(normal(4, CODE))
    found = diagnose(module, z)
    with torch.no_grad():
        features = start(module, z)
    if start is dense:  # probed before its activation
        features = module.fc(z).view(features.shape)
        module.decoder = torch.nn.Sequential(torch.nn.ReLU(), module.decoder)
    alone = diagnose(module.decoder, features)
    assert not found.clean
    assert found["ripple_db"] == pytest.approx(alone["ripple_db"], abs=0.01)
    drawn = [[x["ripple_db"] for x in y["places"]] for y in (found, alone)]
    np.testing.assert_allclose(*drawn, atol=0.01)


def test_what_is_mended_behind_a_dense_layer_is_clean(torch, normal, recwarn):
    torch.manual_seed(0)
    module = generator(torch, dense, deconvolutions(torch))
    z = normal(4, CODE)
    mended = fix(module, z, verbose=False)
    assert not [x for x in recwarn if "still draws" in str(x.message)]
    assert diagnose(mended, z).clean


def test_a_dense_layer_may_be_named(torch, normal):
    torch.manual_seed(0)
    module = generator(torch, dense, deconvolutions(torch))
    z = normal(4, CODE)
    found = diagnose(module, z, behind="fc")
    assert "probed from fc on, with flat features of 32x7x7" in "".join(found["about"])
    whole = diagnose(module, z)
    assert found["ripple_db"] == pytest.approx(whole["ripple_db"], abs=0.01)
    ends = torch.nn.Sequential(torch.nn.Linear(CODE, 8), torch.nn.ReLU())
    with pytest.raises(CaejaxError, match="which nothing behind it has"):
        diagnose(ends, z, behind="0")


@pytest.mark.parametrize("draws", [False, True])
def test_positions_are_no_pattern(draws, torch, normal):
    """A map of numbers that is added to what an encoder makes of an image."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Conv2d(3, CHANNELS, 4, 4)
            self.place = torch.nn.Parameter(torch.randn(1, CHANNELS, 8, 8))
            self.decoder = (deconvolutions if draws else resizes)(torch)

        def forward(self, x):
            return self.decoder(self.encoder(x) + self.place)

    torch.manual_seed(0)
    found = diagnose(Model(), normal(2, 3, 32, 32))
    assert found.clean is not draws
    assert (found["ripple_db"] < -100) is not draws


@pytest.mark.parametrize("draws", [False, True])
def test_noise_behind_a_place_is_no_pattern(draws, torch, normal):
    """What cannot be made flat, for it is added to what a place has made."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            make = torch.nn.ConvTranspose2d if draws else torch.nn.Conv2d
            self.up = torch.nn.Upsample(scale_factor=2)
            self.last = make(4, 3, 2 if draws else 3, 2 if draws else 1)
            self.register_buffer("noise", torch.randn(1, 4, 24, 24))

        def forward(self, x):
            return self.last(self.up(x) + self.noise)

    torch.manual_seed(0)
    found = diagnose(Model(), normal(1, 4, 12, 12))
    assert found.clean is not draws
    assert ("not flat, not measured" in found["verdict"]) is not draws
    assert draws == found["verdict"].startswith("draws a pattern")


@pytest.mark.parametrize("draws", [False, True])
def test_dense_layers_in_jax(draws, normal):
    weight, kernel = normal(CODE, 49 * 8), jnp.array(normal(3, 3, 8, 3))
    axes = ("NHWC", "HWIO", "NHWC")

    def model(z):
        x = (z @ weight).reshape(-1, 7, 7, 8)
        x = jax.nn.relu(x)
        if draws:
            return jax.lax.conv_transpose(x, kernel, (2, 2), "SAME")
        x = x.repeat(2, 1).repeat(2, 2)
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=axes
        )

    found = diagnose(model, normal(4, CODE))
    assert found.clean is not draws
    assert "flat features of 8x7x7 behind dot_general" in found["verdict"]


@pytest.mark.parametrize("draws", [False, True])
def test_dense_layers_in_onnx(draws, normal, tmp_path):
    resize = ("Resize", ["map", "", "scales"], ["up"], {"mode": "nearest"})
    last = ("Conv", ["up", "k"], ["y"], {"pads": [1, 1, 1, 1]})
    if draws:
        last = ("ConvTranspose", ["map", "t"], ["y"], {"strides": [2, 2]})
    nodes = [
        ("MatMul", ["x", "w"], ["code"], {}),
        ("Reshape", ["code", "shape"], ["map"], {}),
        *([] if draws else [resize]),
        last,
    ]
    weights = {
        "w": normal(CODE, 49 * 8),
        "shape": np.array([-1, 8, 7, 7]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "k": normal(3, 8, 3, 3),
        "t": normal(8, 3, 3, 3),
    }
    found = diagnose(onnx_file(tmp_path / "m.onnx", nodes, weights, shape=[4, CODE]))
    assert found.clean is not draws
    assert "flat features of 8x7x7 behind" in found["verdict"]
