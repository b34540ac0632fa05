"""Heads and networks of torchvision, most of them behind a ResNet-18."""

import functools

DENSE, FLOW = "segmentation", "optical flow"


def _predictor(name, channels, size, inside, *widths):
    import torch
    import torchvision

    module = getattr(getattr(torchvision.models.detection, inside), name)(*widths)
    return module, torch.randn(1, channels, size, size)


def _segmentation(kind, head):
    import torch
    import torchvision
    from torchvision.models._utils import IntermediateLayerGetter

    body = torchvision.models.resnet18(weights=None)
    backbone = IntermediateLayerGetter(body, {"layer4": "out"})
    part = getattr(torchvision.models.segmentation, kind)
    made = {"fcn": "FCN", "deeplabv3": "DeepLabV3"}[kind]
    module = getattr(part, made)(backbone, getattr(part, head)(512, 3))
    return module, torch.randn(1, 3, 128, 128)


def _lraspp():
    import torch
    import torchvision

    module = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3
    )
    return module, torch.randn(1, 3, 128, 128)


def _raft(name):
    import torch
    import torchvision

    from experiments.audit.called import called

    module = getattr(torchvision.models.optical_flow, name)(weights=None)
    image = torch.randn(1, 3, 128, 128)
    return (
        called(module, lambda forward, x: forward(x, x, num_flow_updates=1)[-1]),
        image,
    )


ARCHITECTURES = [
    (
        DENSE,
        "MaskRCNNPredictor",
        functools.partial(
            _predictor, "MaskRCNNPredictor", 32, 28, "mask_rcnn", 32, 32, 3
        ),
    ),
    (
        "keypoints",
        "KeypointRCNNPredictor",
        functools.partial(
            _predictor, "KeypointRCNNPredictor", 32, 28, "keypoint_rcnn", 32, 17
        ),
    ),
    (
        DENSE,
        "FCN (torchvision)",
        functools.partial(_segmentation, "fcn", "FCNHead"),
    ),
    (
        DENSE,
        "DeepLabV3 (torchvision)",
        functools.partial(_segmentation, "deeplabv3", "DeepLabHead"),
    ),
    (DENSE, "LRASPP", _lraspp),
    (FLOW, "RAFT large", functools.partial(_raft, "raft_large")),
    (FLOW, "RAFT small", functools.partial(_raft, "raft_small")),
]
