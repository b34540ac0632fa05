"""Tests of what is around the code: skips, refinements, residual and noise map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import random_variables, run, stock_upsample
from helpers.tiny import tiny_config

from caejax.models.conv import ConvAutoencoder
from caejax.ops.images import as_float, filled_up
from caejax.training.task import model_from_config

PLAIN = ConvAutoencoder(
    shape=(13, 10, 3), widths=(4, 6), latent_channels=5, upsampling="nearest_k3"
)
KINDS = ("bilinear_k3", "deconv_k3")  # from the code outwards


@pytest.fixture
def images(normal):
    """Two images whose sides no stage divides."""
    return normal(2, 13, 10, 3)


def torch_conv(torch, x, params):
    """A SAME convolution of (B, C, H, W), stride 1, of Flax's parameters."""
    kernel, bias = (torch.from_numpy(np.array(params[k])) for k in ("kernel", "bias"))
    padding = kernel.shape[0] // 2
    kernel = kernel.permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(x, kernel, bias, padding=padding)


def torch_unet(torch, params, x, skips):
    """Another U-Net of max-pools and nearest-neighbour resizes, in PyTorch."""
    f = torch.nn.functional
    relu, (down, up) = torch.relu, (params["encoder"], params["decoder"])
    y, features = torch.from_numpy(x).permute(0, 3, 1, 2), []
    for stage in range(2):
        y = relu(torch_conv(torch, y, down[f"Conv_{stage}"]))
        y = relu(torch_conv(torch, y, down[f"refine_{stage}_0"]))
        features.append(y)
        y = f.max_pool2d(y, 2, ceil_mode=True)
    y = torch_conv(torch, y, down["Conv_2"])
    for stage, before in enumerate(features[::-1]):
        y = f.interpolate(y, scale_factor=2, mode="nearest")
        y = torch_conv(torch, y, up[f"Upsample_{stage}"])
        y = y[:, :, : before.shape[2], : before.shape[3]]
        weights = torch.from_numpy(np.array(up[f"skip_{stage}"]["kernel"]))
        beside = torch.einsum("bchw,cd->bdhw", before, weights)
        y = relu(y + beside if skips == "add" else torch.cat([y, beside], 1))
        for i in range(stage):  # refine is (0, 1)
            y = relu(torch_conv(torch, y, up[f"refine_{stage}_{i}"]))
    noise = torch_conv(torch, y, up["Conv_0"]).permute(0, 2, 3, 1)
    return x - noise.numpy()


@pytest.mark.parametrize("skips", ["add", "concat"])
def test_it_is_an_independent_unet(torch, skips, images, normal):
    model = PLAIN.clone(skips=skips, refine=(0, 1), encoder_refine=1, residual=True)
    variables = random_variables(model, normal)
    theirs = torch_unet(torch, variables["params"], images, skips)
    np.testing.assert_allclose(run(model, variables, images), theirs, atol=2e-5)


def test_projections_of_zero_leave_the_plain_autoencoder(images, normal):
    model = PLAIN.clone(skips="add")
    variables = random_variables(model, normal)
    decoder = dict(variables["params"]["decoder"])
    for stage in range(2):
        kernel = decoder.pop(f"skip_{stage}")["kernel"]
        assert kernel.shape == ((6, 6), (4, 4))[stage]
    plain = {"params": {**variables["params"], "decoder": decoder}}
    expected = run(PLAIN, plain, images)
    assert jnp.abs(run(model, variables, images) - expected).max() > 0.1
    zero = jax.tree.map(jnp.zeros_like, variables["params"]["decoder"])
    decoder |= {f"skip_{stage}": zero[f"skip_{stage}"] for stage in range(2)}
    zeroed = {"params": {**variables["params"], "decoder": decoder}}
    np.testing.assert_allclose(run(model, zeroed, images), expected, atol=1e-6)
    # That is also what decoding a code alone takes for the skips.
    code = run(model, variables, images, method="encode")
    alone = run(model, variables, code, method="decode")
    np.testing.assert_allclose(alone, expected, atol=1e-6)


def test_concatenated_zeros_are_what_decoding_alone_sees(images, normal):
    model = PLAIN.clone(skips="concat", downsampling="stride_k3", residual=True)
    variables = random_variables(model, normal)
    decoder = variables["params"]["decoder"]
    # The image itself is what the last stage is given; then what it has been made of.
    assert decoder["skip_1"]["kernel"].shape == (3, 4)
    assert decoder["skip_0"]["kernel"].shape == (4, 6)
    assert decoder["Upsample_1"]["kernel"].shape[2] == 2 * 6
    code, whole = run(model, variables, images, method="with_code")
    np.testing.assert_allclose(whole, run(model, variables, images), atol=1e-6)
    for stage in range(2):
        decoder[f"skip_{stage}"]["kernel"] *= 0
    alone = run(model, variables, code, method="decode")
    seen = run(model, variables, images)
    np.testing.assert_allclose(images + alone, seen, atol=1e-5)


def test_a_network_of_zeros_leaves_the_image_as_it_is(images, normal):
    model = PLAIN.clone(skips="concat", residual=True, refine=1)
    variables = jax.tree.map(jnp.zeros_like, random_variables(model, normal))
    np.testing.assert_array_equal(run(model, variables, images), images)


def test_stages_of_several_kinds_are_their_layers_in_a_row(normal):
    model = PLAIN.clone(upsampling=KINDS, refine=(1, 0))
    assert model.stages == KINDS
    variables, code = random_variables(model, normal), normal(2, 4, 3, 5)
    params = variables["params"]["decoder"]

    def conv(x, layer):
        layout = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x, params[layer]["kernel"], (1, 1), "SAME", dimension_numbers=layout
        )
        return y + params[layer]["bias"][None, None, None]

    x = stock_upsample(KINDS[0], params["Upsample_0"], code)[:, :7, :5]
    x = jax.nn.relu(conv(jax.nn.relu(x), "refine_0_0"))
    x = stock_upsample(KINDS[1], params["Upsample_1"], x)[:, :13, :10]
    expected = conv(jax.nn.relu(x), "Conv_0")
    ours = run(model, variables, code, method="decode")
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_a_noise_map_is_a_channel_of_the_level(images, normal):
    model = PLAIN.clone(noise_map=True, skips="add", downsampling="stride_k4")
    variables = random_variables(model, normal)
    assert variables["params"]["encoder"]["Conv_0"]["kernel"].shape == (4, 4, 4, 4)
    levels = jnp.array([0.1, 0.3])
    both = run(model, variables, images, *model.told(levels))
    # What it is told of one image, the other does not see.
    one = run(model, variables, images, *model.told(0.1))
    np.testing.assert_allclose(both[0], one[0], atol=1e-6)
    assert jnp.abs(both[1] - one[1]).max() > 1e-3
    # Of four channels, without a map, it is the same network.
    shown = jnp.concatenate([images, jnp.full((2, 13, 10, 1), 0.1)], axis=-1)
    code = PLAIN.clone(skips="add", downsampling="stride_k4", shape=(13, 10, 4))
    seen = run(code, {"params": {**variables["params"]}}, shown, method="encode")
    told = run(model, variables, images, 0.1, method="encode")
    np.testing.assert_allclose(told, seen, atol=1e-6)
    assert not PLAIN.told(0.1)


def test_models_of_crops_fill_images_up(images, normal):
    settings = {"skips": "add", "residual": True, "downsampling": "stride_k4"}
    model = PLAIN.clone(**settings, filled_up=True)
    variables = random_variables(model, normal)
    np.testing.assert_array_equal(
        filled_up(images, 4),
        np.pad(images, [(0, 0), (0, 3), (0, 2), (0, 0)], "reflect"),
    )
    tiny = images[:, :2, :1]
    assert filled_up(tiny, 4)[0, :, 0, 0].tolist() == [*tiny[0, [0, 1, 0, 0], 0, 0]]
    assert filled_up(tiny, 4).shape == (2, 4, 4, 3)
    plain = PLAIN.clone(**settings)
    whole = np.asarray(run(plain, variables, filled_up(images, 4)))
    ours = run(model, variables, images)
    np.testing.assert_allclose(ours, whole[:, :13, :10], atol=1e-6)
    assert np.abs(ours - run(plain, variables, images)).max() > 1e-2
    # A code of the model's own size is an image of its own size.
    code, _ = run(model, variables, images, method="with_code")
    np.testing.assert_array_equal(run(model, variables, images, method="encode"), code)
    alone = run(model, variables, code, method="decode")
    large = PLAIN.clone(**settings, shape=(16, 12, 3))
    theirs = run(large, variables, code, method="decode")
    np.testing.assert_allclose(alone, theirs[:, :13, :10], atol=1e-6)


def test_models_are_told_whether_they_were_trained_on_crops():
    config = tiny_config()
    assert not model_from_config(config).filled_up
    config.train.crop_size = 8
    assert model_from_config(config).filled_up


def test_sides_that_no_stage_divides(normal):
    settings = {"skips": "concat", "refine": 1, "encoder_refine": 1, "residual": True}
    for depth, downsampling in ((1, "max_pool"), (4, "stride_k4")):
        model = PLAIN.clone(**settings, widths=(3,) * depth, downsampling=downsampling)
        variables = random_variables(model, normal)
        for size in ((1, 1), (17, 31)):
            x = as_float(normal(1, *size, 3))
            assert run(model, variables, x).shape == x.shape
