"""Networks of MONAI, in two dimensions and three."""

import functools

FAMILY = "medical"


def _build(name, size, dims=3, pick=None, call=None, **settings):
    import monai.networks.nets
    import torch

    from experiments.audit.called import called

    module = getattr(monai.networks.nets, name)(**settings)
    if hasattr(module, "sampling"):  # a random code would be a pattern of its own
        module.sampling = lambda mean, deviation: mean
    if call:
        called(module, functools.partial(call, torch))
    return module, torch.randn(1, 1, *(size,) * dims)


def _of(title, name, size, **settings):
    return FAMILY, title, functools.partial(_build, name, size, **settings)


_STAGES = {"channels": (8, 16, 16, 32), "strides": (2, 2, 2)}
_ENDS = {"in_channels": 1, "out_channels": 2}
_KERNELS = {
    "kernel_size": (3, 3, 3, 3),
    "strides": (1, 2, 2, 2),
    "upsample_kernel_size": (2, 2, 2),
    "filters": (8, 16, 16, 32),
}
_FEATURES = (8, 8, 16, 16, 32, 8)

ARCHITECTURES = [
    _of("UNet 2-D (monai)", "UNet", 64, dims=2, spatial_dims=2, **_ENDS, **_STAGES),
    _of("UNet 3-D (monai)", "UNet", 40, spatial_dims=3, **_ENDS, **_STAGES),
    _of("BasicUNet", "BasicUNet", 80, dims=2, spatial_dims=2, features=_FEATURES),
    _of(
        "BasicUNet (pixelshuffle)",
        "BasicUNet",
        80,
        dims=2,
        spatial_dims=2,
        features=_FEATURES,
        upsample="pixelshuffle",
    ),
    _of(
        "BasicUNet (nontrainable)",
        "BasicUNet",
        80,
        dims=2,
        spatial_dims=2,
        features=_FEATURES,
        upsample="nontrainable",
    ),
    _of("SegResNet", "SegResNet", 40),
    _of("DynUNet", "DynUNet", 40, spatial_dims=3, **_ENDS, **_KERNELS),
    _of(
        "SwinUNETR (2-D)",
        "SwinUNETR",
        128,
        dims=2,
        spatial_dims=2,
        feature_size=12,
        **_ENDS,
    ),
    _of(
        "UNETR (2-D)",
        "UNETR",
        96,
        dims=2,
        spatial_dims=2,
        img_size=96,
        hidden_size=48,
        mlp_dim=96,
        num_heads=4,
        **_ENDS,
    ),
    _of("VNet (2-D)", "VNet", 64, dims=2, spatial_dims=2),
    _of(
        "AttentionUnet",
        "AttentionUnet",
        64,
        dims=2,
        spatial_dims=2,
        **_ENDS,
        **_STAGES,
    ),
    _of(
        "AutoEncoder (monai)",
        "AutoEncoder",
        64,
        dims=2,
        spatial_dims=2,
        channels=(8, 16, 16),
        strides=(2, 2, 2),
        **_ENDS,
    ),
    _of("MedNeXt", "MedNeXt", 128, dims=2, spatial_dims=2, init_filters=8),
    _of(
        "VQVAE (monai)",
        "VQVAE",
        64,
        dims=2,
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(16, 16, 32),
        num_res_channels=(16, 16, 32),
        num_res_layers=1,
    ),
    _of(
        "AutoencoderKL (monai)",
        "AutoencoderKL",
        64,
        dims=2,
        spatial_dims=2,
        channels=(16, 16, 32, 32),
        num_res_blocks=1,
        norm_num_groups=8,
        call=lambda torch, forward, x: forward(x)[0],
        attention_levels=(False, False, False, False),
    ),
    _of(
        "DiffusionModelUNet",
        "DiffusionModelUNet",
        64,
        dims=2,
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(16, 16, 32, 32),
        num_res_blocks=1,
        norm_num_groups=8,
        call=lambda torch, forward, x: forward(x, torch.tensor([1])),
    ),
]
