"""Autoencoders and denoisers of diffusers."""

import functools

from experiments.audit.called import called

IMAGES, VIDEOS = "image autoencoder", "video autoencoder"
AUDIO, DENOISERS = "audio", "diffusion model"


def _image(name, size=64, **settings):
    import diffusers
    import torch

    return getattr(diffusers, name)(**settings), torch.randn(1, 3, size, size)


def _video(name, frames=17, size=48, **settings):
    import diffusers
    import torch

    return getattr(diffusers, name)(**settings), torch.randn(1, 3, frames, size, size)


def _temporal():
    module, images = _image(
        "AutoencoderKLTemporalDecoder",
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
    )
    return called(module, lambda forward, x: forward(x, num_frames=1)), images


def _oobleck():
    import diffusers
    import torch

    module = diffusers.AutoencoderOobleck(
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4, 4, 8],
        channel_multiples=[1, 2, 2, 2],
        decoder_channels=8,
        decoder_input_channels=4,
    )
    return module, torch.randn(1, 2, 256 * 24)


def _unet(name, shape=(1, 4, 48, 48), **settings):
    import diffusers
    import torch

    module = getattr(diffusers, name)(**settings)
    if "cross_attention_dim" not in settings:
        return called(module, lambda forward, x: forward(x, 1)), torch.randn(shape)
    words = torch.zeros(1, 4, settings["cross_attention_dim"])
    return called(module, lambda forward, x: forward(x, 1, words)), torch.randn(shape)


def _transformer(name, shape, call, **settings):
    import diffusers
    import torch

    module = getattr(diffusers, name)(**settings)
    return called(module, functools.partial(call, torch)), torch.randn(shape)


_LATENT = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (16, 16, 32, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
_WIDTHS = (16, 16, 32, 32)

ARCHITECTURES = [
    (IMAGES, "AutoencoderKL", functools.partial(_image, "AutoencoderKL", **_LATENT)),
    (IMAGES, "VQModel", functools.partial(_image, "VQModel", **_LATENT)),
    (
        IMAGES,
        "VQModel (Kandinsky movq)",
        functools.partial(
            _image,
            "VQModel",
            **{
                **_LATENT,
                "down_block_types": (
                    *("DownEncoderBlock2D",) * 3,
                    "AttnDownEncoderBlock2D",
                ),
                "up_block_types": ("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
                "block_out_channels": (32, 32, 32, 32),
                "norm_num_groups": 32,
                "latent_channels": 4,
                "norm_type": "spatial",
            },
        ),
    ),
    (
        IMAGES,
        "AutoencoderTiny",
        functools.partial(
            _image,
            "AutoencoderTiny",
            encoder_block_out_channels=(16,) * 4,
            decoder_block_out_channels=(16,) * 4,
        ),
    ),
    (
        IMAGES,
        "AsymmetricAutoencoderKL",
        functools.partial(
            _image,
            "AsymmetricAutoencoderKL",
            down_block_types=("DownEncoderBlock2D",) * 4,
            down_block_out_channels=(32,) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            up_block_out_channels=(32,) * 4,
        ),
    ),
    (
        IMAGES,
        "AutoencoderDC",
        functools.partial(
            _image,
            "AutoencoderDC",
            size=128,
            attention_head_dim=8,
            encoder_block_types=("ResBlock",) * 3 + ("EfficientViTBlock",) * 2,
            decoder_block_types=("ResBlock",) * 3 + ("EfficientViTBlock",) * 2,
            encoder_block_out_channels=(16, 16, 32, 32, 32),
            decoder_block_out_channels=(16, 16, 32, 32, 32),
            encoder_layers_per_block=(1,) * 5,
            decoder_layers_per_block=(1,) * 5,
            encoder_qkv_multiscales=((), (), (), (5,), (5,)),
            decoder_qkv_multiscales=((), (), (), (5,), (5,)),
        ),
    ),
    (IMAGES, "AutoencoderKLTemporalDecoder", _temporal),
    (
        VIDEOS,
        "AutoencoderKLCogVideoX",
        functools.partial(
            _video,
            "AutoencoderKLCogVideoX",
            block_out_channels=_WIDTHS,
            layers_per_block=1,
            norm_num_groups=8,
        ),
    ),
    (
        VIDEOS,
        "AutoencoderKLLTXVideo",
        functools.partial(
            _video,
            "AutoencoderKLLTXVideo",
            frames=33,
            size=128,
            latent_channels=16,
            block_out_channels=_WIDTHS,
            decoder_block_out_channels=_WIDTHS,
            layers_per_block=(1,) * 5,
            decoder_layers_per_block=(1,) * 5,
        ),
    ),
    (
        VIDEOS,
        "AutoencoderKLWan",
        functools.partial(_video, "AutoencoderKLWan", base_dim=8, num_res_blocks=1),
    ),
    (
        VIDEOS,
        "AutoencoderKLQwenImage",
        functools.partial(
            _video, "AutoencoderKLQwenImage", frames=1, base_dim=8, num_res_blocks=1
        ),
    ),
    (
        VIDEOS,
        "AutoencoderKLHunyuanVideo",
        functools.partial(
            _video,
            "AutoencoderKLHunyuanVideo",
            block_out_channels=_WIDTHS,
            layers_per_block=1,
            norm_num_groups=8,
        ),
    ),
    (
        VIDEOS,
        "AutoencoderKLMagvit",
        functools.partial(
            _video,
            "AutoencoderKLMagvit",
            block_out_channels=_WIDTHS,
            layers_per_block=1,
            norm_num_groups=8,
        ),
    ),
    (AUDIO, "AutoencoderOobleck", _oobleck),
    (
        DENOISERS,
        "UNet2DModel",
        functools.partial(
            _unet,
            "UNet2DModel",
            in_channels=4,
            out_channels=4,
            block_out_channels=(16, 32, 32, 32),
            layers_per_block=1,
            norm_num_groups=8,
        ),
    ),
    (
        DENOISERS,
        "UNet2DConditionModel",
        functools.partial(
            _unet,
            "UNet2DConditionModel",
            block_out_channels=(16, 32, 32, 32),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=8,
            cross_attention_dim=16,
        ),
    ),
    (
        DENOISERS,
        "UNet1DModel",
        functools.partial(
            _unet,
            "UNet1DModel",
            shape=(1, 2, 512),
            block_out_channels=(32, 32, 64),
            extra_in_channels=64,
        ),
    ),
    (
        DENOISERS,
        "DiTTransformer2DModel",
        functools.partial(
            _transformer,
            "DiTTransformer2DModel",
            (1, 4, 32, 32),
            lambda torch, forward, x: forward(
                x, timestep=torch.tensor([1]), class_labels=torch.tensor([0])
            ),
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            sample_size=32,
            patch_size=2,
            num_embeds_ada_norm=10,
        ),
    ),
    (
        DENOISERS,
        "SD3Transformer2DModel",
        functools.partial(
            _transformer,
            "SD3Transformer2DModel",
            (1, 4, 32, 32),
            lambda torch, forward, x: forward(
                x,
                encoder_hidden_states=torch.zeros(1, 4, 16),
                pooled_projections=torch.zeros(1, 16),
                timestep=torch.tensor([1]),
            ),
            sample_size=32,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            caption_projection_dim=32,
            pooled_projection_dim=16,
            pos_embed_max_size=32,
        ),
    ),
]
