"""Decoders of segmentation-models-pytorch behind a MobileNetV2 without weights."""

import functools

FAMILY = "segmentation"
_WIDTHS = {"decoder_channels": (32, 32, 16, 16, 8)}
_NARROW = {
    "Unet": _WIDTHS,
    "UnetPlusPlus": _WIDTHS,
    "MAnet": {**_WIDTHS, "decoder_pab_channels": 16},
    "Linknet": {},
    "FPN": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
    "PSPNet": {"psp_out_channels": 32},
    "PAN": {"decoder_channels": 16},
    "DeepLabV3": {"decoder_channels": 32},
    "DeepLabV3Plus": {"decoder_channels": 32},
    "UPerNet": {"decoder_channels": 32},
    "Segformer": {"decoder_segmentation_channels": 32},
}


def _build(name, settings):
    import segmentation_models_pytorch
    import torch

    made = getattr(segmentation_models_pytorch, name)
    module = made("mobilenet_v2", encoder_weights=None, classes=3, **settings)
    return module, torch.randn(1, 3, 128, 128)


ARCHITECTURES = [
    (FAMILY, f"{name} (smp)", functools.partial(_build, name, settings))
    for name, settings in _NARROW.items()
]
