"""Vision models, vocoders and codecs of transformers, with few and narrow blocks."""

import functools

from experiments.audit.called import called

DENSE, DEPTH, IMAGES = "segmentation", "depth", "image restoration and pretraining"
AUDIO, POSES = "audio", "keypoints"
_BLOCKS = {
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_size": 32,
}
_WIDTHS = (8, 16, 24, 32)


def _first(forward, x):
    return forward(x)


def _logits(forward, x):
    return forward(x).logits


def _depth(forward, x):
    return forward(x).predicted_depth


def _build(model, config, shape, call=_first, backbone=None, **settings):
    import torch
    import transformers

    if backbone:
        settings["backbone_config"] = _config(transformers, *backbone)
    made = getattr(transformers, config)(**settings)
    return called(getattr(transformers, model)(made), call), torch.randn(shape)


def _config(transformers, name, settings):
    return getattr(transformers, name)(**settings)


def _of(family, title, *args, **settings):
    return family, title, functools.partial(_build, *args, **settings)


def _image(size):
    return 1, 3, size, size


_RESNET = (
    "ResNetConfig",
    {
        "hidden_sizes": [16, 16, 32, 32],
        "embedding_size": 16,
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
)
_DINO = (
    "Dinov2Config",
    {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": 224,
        "patch_size": 14,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
        "reshape_hidden_states": False,
        "apply_layernorm": True,
    },
)
_BEIT = (
    "BeitConfig",
    {
        **_BLOCKS,
        "image_size": 96,
        "patch_size": 16,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
        "reshape_hidden_states": False,
    },
)


def _beit():
    import torch
    import transformers

    config = transformers.BeitConfig(
        **_BLOCKS, image_size=96, patch_size=16, out_indices=[1, 2, 3, 4]
    )
    module = transformers.BeitForSemanticSegmentation(config)
    return called(module, _logits), torch.randn(_image(96))


def _mask_former(name, pick, decoder):
    import torch
    import transformers

    backbone = _config(transformers, *_RESNET)
    if name == "MaskFormer":
        config = transformers.MaskFormerConfig(
            fpn_feature_size=32,
            mask_feature_size=32,
            backbone_config=backbone,
            decoder_config=transformers.DetrConfig(**decoder),
        )
    else:
        config = transformers.Mask2FormerConfig(backbone_config=backbone, **decoder)
    made = getattr(transformers, f"{name}ForUniversalSegmentation", None)
    made = made or getattr(transformers, f"{name}ForInstanceSegmentation")
    return called(made(config), pick), torch.randn(_image(128))


def _masks(forward, x):
    return forward(x).masks_queries_logits


def _sam():
    import torch
    from transformers.models.sam import modeling_sam as sam

    config = sam.SamMaskDecoderConfig(hidden_size=32, mlp_dim=64, num_attention_heads=2)
    points, dense = torch.randn(1, 1, 2, 32), torch.zeros(1, 32, 1, 1)

    def call(forward, x):
        return forward(
            image_embeddings=x,
            image_positional_embeddings=torch.zeros_like(x),
            sparse_prompt_embeddings=points,
            dense_prompt_embeddings=dense.expand_as(x),
            multimask_output=True,
        )[0].squeeze(1)

    return called(sam.SamMaskDecoder(config), call), torch.randn(1, 32, 32, 32)


def _hifigan(name, config):
    import torch
    import transformers

    made = getattr(transformers, config)(
        upsample_initial_channel=32, resblock_dilation_sizes=[[1, 3, 5]] * 3
    )
    module = getattr(transformers, name)(made)
    return module, torch.randn(1, 24, 80)


def _vits():
    import torch
    from transformers.models.vits import modeling_vits as vits

    config = vits.VitsConfig(flow_size=16, upsample_initial_channel=32)
    module = vits.VitsHifiGan(config)
    return module, torch.randn(1, 16, 24)


def _univnet():
    import torch
    import transformers

    config = transformers.UnivNetConfig(model_hidden_channels=8)
    noise = torch.randn(1, 24, 64)

    def call(forward, x):
        return forward(input_features=x, noise_sequence=noise).waveforms

    return called(transformers.UnivNetModel(config), call), torch.randn(1, 24, 100)


def _codec(name, config, samples, **settings):
    import torch
    import transformers

    made = getattr(transformers, config)(**settings)
    module = getattr(transformers, name)(made)
    call = lambda forward, x: forward(x).audio_values  # noqa: E731
    return called(module, call), torch.randn(1, 1, samples)


def _mae():
    import torch
    import transformers

    config = transformers.ViTMAEConfig(
        **_BLOCKS,
        image_size=96,
        mask_ratio=0.0,
        decoder_num_attention_heads=2,
        decoder_hidden_size=32,
        decoder_num_hidden_layers=2,
        decoder_intermediate_size=64,
    )
    module = transformers.ViTMAEForPreTraining(config)

    noise = torch.arange(36.0)[None]

    def call(forward, x):
        return module.unpatchify(forward(x, noise=noise).logits)

    return called(module, call), torch.randn(_image(96))


def _seggpt():
    import torch
    import transformers

    config = transformers.SegGptConfig(
        num_attention_heads=2,
        hidden_size=32,
        image_size=(256, 128),
        pretrain_image_size=64,
        decoder_hidden_size=16,
        num_hidden_layers=5,
        intermediate_hidden_state_indices=(1, 2, 3, 4),
        merge_index=0,
    )

    def call(forward, x):
        return forward(x, x, x).pred_masks

    module = transformers.SegGptForImageSegmentation(config)
    return called(module, call), torch.randn(1, 3, 128, 128)


def _clipseg():
    import torch
    from transformers.models.clipseg import modeling_clipseg as clipseg

    vision = {**_BLOCKS, "num_hidden_layers": 4, "patch_size": 16, "image_size": 224}
    config = clipseg.CLIPSegConfig(
        vision_config=vision,
        text_config={**_BLOCKS, "num_hidden_layers": 2},
        projection_dim=32,
        extract_layers=[1, 2, 3],
        reduce_dim=32,
        decoder_intermediate_size=64,
    )
    words = torch.randn(1, 32)

    def call(forward, x):
        return forward(pixel_values=x, conditional_embeddings=words).logits

    module = clipseg.CLIPSegForImageSegmentation(config)
    return called(module, call), torch.randn(_image(224))


def _vitpose(simple):
    import torch
    import transformers

    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=(256, 192),
        out_indices=[2],
    )
    config = transformers.VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=simple
    )

    def call(forward, x):
        return forward(x).heatmaps

    module = transformers.VitPoseForPoseEstimation(config)
    return called(module, call), torch.randn(1, 3, 256, 192)


def _reconstructed(forward, x):
    return forward(x).reconstruction


_SWIN2SR = {"embed_dim": 16, "depths": (1, 1), "num_heads": (2, 2)}
_SEGFORMER = {"depths": (1, 1, 1, 1), "hidden_sizes": (16, 16, 32, 32)}
_DPT = {
    "reassemble_factors": [4, 2, 1, 0.5],
    "neck_hidden_sizes": list(_WIDTHS),
    "fusion_hidden_size": 16,
}
_FUSED = {**_BLOCKS, "image_size": 96, "backbone_out_indices": [0, 1, 2, 3], **_DPT}

ARCHITECTURES = [
    _of(
        DENSE,
        "Segformer (transformers)",
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        _image(128),
        _logits,
        decoder_hidden_size=32,
        num_attention_heads=(1, 2, 2, 2),
        **_SEGFORMER,
    ),
    _of(
        DENSE,
        "UperNet (transformers)",
        "UperNetForSemanticSegmentation",
        "UperNetConfig",
        _image(128),
        _logits,
        backbone=_RESNET,
        hidden_size=32,
        use_auxiliary_head=False,
    ),
    (DENSE, "BEiT", _beit),
    (
        DENSE,
        "MaskFormer",
        functools.partial(
            _mask_former,
            "MaskFormer",
            _masks,
            {
                "d_model": 32,
                "encoder_layers": 1,
                "decoder_layers": 1,
                "encoder_ffn_dim": 64,
                "decoder_ffn_dim": 64,
                "encoder_attention_heads": 2,
                "decoder_attention_heads": 2,
                "num_queries": 8,
            },
        ),
    ),
    (
        DENSE,
        "Mask2Former",
        functools.partial(
            _mask_former,
            "Mask2Former",
            _masks,
            {
                "feature_size": 32,
                "mask_feature_size": 32,
                "hidden_dim": 32,
                "encoder_feedforward_dim": 64,
                "dim_feedforward": 64,
                "encoder_layers": 1,
                "decoder_layers": 2,
                "num_attention_heads": 2,
                "num_queries": 8,
            },
        ),
    ),
    (DENSE, "SAM (mask decoder)", _sam),
    (DENSE, "SegGPT", _seggpt),
    (DENSE, "CLIPSeg", _clipseg),
    _of(
        DEPTH,
        "DPT (transformers)",
        "DPTForDepthEstimation",
        "DPTConfig",
        _image(96),
        _depth,
        **_FUSED,
    ),
    _of(
        DEPTH,
        "GLPN",
        "GLPNForDepthEstimation",
        "GLPNConfig",
        _image(128),
        _depth,
        decoder_hidden_size=16,
        num_attention_heads=(1, 2, 2, 2),
        **_SEGFORMER,
    ),
    _of(
        DEPTH,
        "DepthAnything",
        "DepthAnythingForDepthEstimation",
        "DepthAnythingConfig",
        _image(224),
        _depth,
        backbone=_DINO,
        reassemble_hidden_size=32,
        **_DPT,
    ),
    _of(
        DEPTH,
        "ZoeDepth",
        "ZoeDepthForDepthEstimation",
        "ZoeDepthConfig",
        _image(96),
        _depth,
        backbone=_BEIT,
        bottleneck_features=16,
        bin_embedding_dim=16,
        bin_configurations=[
            {"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}
        ],
        **_DPT,
    ),
    (POSES, "ViTPose (classic decoder)", functools.partial(_vitpose, False)),
    (POSES, "ViTPose (simple decoder)", functools.partial(_vitpose, True)),
    *(
        _of(
            IMAGES,
            f"Swin2SR ({kind})",
            "Swin2SRForImageSuperResolution",
            "Swin2SRConfig",
            _image(32),
            _reconstructed,
            upsampler=kind,
            upscale=4 if kind == "nearest+conv" else 2,
            **_SWIN2SR,
        )
        for kind in ("pixelshuffle", "pixelshuffledirect", "nearest+conv")
    ),
    _of(
        IMAGES,
        "ViT (masked images)",
        "ViTForMaskedImageModeling",
        "ViTConfig",
        _image(96),
        _reconstructed,
        image_size=96,
        **_BLOCKS,
    ),
    _of(
        IMAGES,
        "Swin (masked images)",
        "SwinForMaskedImageModeling",
        "SwinConfig",
        _image(128),
        _reconstructed,
        image_size=128,
        window_size=4,
        embed_dim=16,
        depths=(1, 1, 1, 1),
        num_heads=(2, 2, 2, 2),
    ),
    (IMAGES, "ViTMAE", _mae),
    (
        AUDIO,
        "SpeechT5HifiGan",
        functools.partial(_hifigan, "SpeechT5HifiGan", "SpeechT5HifiGanConfig"),
    ),
    (
        AUDIO,
        "FastSpeech2ConformerHifiGan",
        functools.partial(
            _hifigan,
            "FastSpeech2ConformerHifiGan",
            "FastSpeech2ConformerHifiGanConfig",
        ),
    ),
    (AUDIO, "VITS (decoder)", _vits),
    (AUDIO, "UnivNet", _univnet),
    (
        AUDIO,
        "Encodec",
        functools.partial(
            _codec, "EncodecModel", "EncodecConfig", 320 * 12, num_filters=4
        ),
    ),
    (
        AUDIO,
        "DAC",
        functools.partial(
            _codec,
            "DacModel",
            "DacConfig",
            512 * 12,
            encoder_hidden_size=4,
            decoder_hidden_size=64,
        ),
    ),
]
