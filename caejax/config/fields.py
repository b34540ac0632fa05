"""What each field of a config says, a sentence each: the reference is made of these."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from caejax.config import default, field_names, get
from caejax.config.sections import MODELS, SWITCHES, names
from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES
from caejax.losses import LOSSES

_PATH = (
    "It may contain `~` and `$VAR`; a relative path is relative to the working "
    "directory of the command that begins the run."
)

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "seed": "Seed of initialisation, data order and noise.",
        "data.source": "Where images come from.",
        "data.name": "Name of the data set (`idx` with download, `tfds`), or the file "
        f"(`npz`). {_PATH}",
        "data.dir": f"Folder of the data set. {_PATH}",
        "data.image_size": "One side in pixels, or (height, width).",
        "data.channels": "Channels of the images: 1 for grey and 3 for colour.",
        "data.limit": "How many examples are used, the first ones; 0 is all.",
        "data.val_fraction": "Share of the training images used for validation, if the "
        "source has no validation part; with 0 all are trained on, and the test part "
        "validates.",
        "data.seed": "Seed of synthetic images, patches and the validation split.",
        "data.train_size": "Training images that are drawn (`glyphs`, `dead_leaves`).",
        "data.test_size": "Test images that are drawn (`glyphs`, `dead_leaves`).",
        "data.reduce": "`folder`: shrinks photographs by this factor, by area.",
        "data.patches_per_image": "`folder`: number of patches cut from each "
        "photograph.",
        "data.download": "`idx`, `tfds`: whether what is missing is fetched.",
        "data.budget_mib": "MiB that a split may take on the device; larger ones stay "
        "on the host and are streamed in shards.",
        "corruption.name": "What is done to images before the model sees them.",
        "corruption.level": "How strong the corruption is; its range depends on the "
        "name, see the corruptions.",
        "corruption.train_range": "(lowest, highest) level: in training it is drawn "
        "anew for each image. `()`: training is at `level`, too. Validation and test "
        "are at `level`.",
        "corruption.clip": "Whether corrupted images are clipped to [0, 1].",
        "model.encoder": "Kind of model; `config.model` has the fields of this kind.",
        "model.widths": "Channels of the encoder's stages, each of which halves the "
        "image; for `dense`, the widths of its layers.",
        "model.decoder_widths": "Channels of the decoder's stages, from the code "
        "outwards; `()`: those of the encoder, mirrored.",
        "model.latent_channels": "The bottleneck: channels of the code; for dense "
        "models, how many numbers it has.",
        "model.code_activation": "Activation of the code.",
        "model.bottleneck": "`projection`: a 1 x 1 convolution makes the code; "
        "`pooled`: the last stage itself has `latent_channels` channels.",
        "model.downsampling": "How a stage halves the image: `max_pool`, or "
        "`blur_pool` ([1, 3, 3, 1] / 8 an axis), behind a 3 x 3 convolution; or the "
        "convolution's own stride, `stride_k3` and `stride_k4`.",
        "model.upsampling": "The decoder: a kind of upsampling for all stages, or a "
        "tuple with one for each stage, from the code outwards.",
        "model.refine": "Further 3 x 3 convolutions with ReLU after each upsampling: "
        "a number, or a tuple with one for each stage.",
        "model.encoder_refine": "Like `model.refine`, in each stage of the encoder.",
        "model.skips": "Skips of a U-Net: how the features of each encoder stage, "
        "before it halves the image, join the decoder's stage of the same size, "
        "through a 1 x 1 convolution and before the ReLU: `add`, `concat`, or `none`.",
        "model.residual": "Whether the model decodes the noise, which is then "
        "subtracted from the image; needs `model.output_activation` `linear`.",
        "model.noise_map": "Whether the model sees the level of the noise besides the "
        "image, as a further channel.",
        "model.encoder_layers": "`layers`: the encoder's layers, a few words each.",
        "model.decoder_layers": "`layers`: the decoder's layers, a few words each.",
        "model.output_activation": "Activation of the output image: `sigmoid`, "
        "`linear` or another.",
        "model.initializer": "`he_normal`, `lecun_normal`, `glorot_uniform`, each "
        "corrected so that every decoder keeps the signal's variance; "
        "`sigmoid_uniform`: four times Glorot's bound; `flax_default`, "
        "`keras_default`, `torch_default`: as these libraries draw it, PyTorch the "
        "biases too, which with Flax halves the signal at each transposed convolution.",
        "model.dtype": "Type of the computation: `float32` or `bfloat16`; parameters "
        "stay `float32`.",
        "model.path": "How layers are computed: `matmul` (`auto` on a CPU), "
        "`polyphase` (`auto` elsewhere), or `stock`, Flax's own layers. 100 steps end "
        "with the same parameters but for rounding.",
        "loss": "What training minimises.",
        "code_penalty": "Weight of the code's mean absolute value, added to each "
        "image's loss in training: sparse codes. Keras' `l1(x)` on a code of K numbers "
        "is K x here. The `loss` of train rows has it; that of val and test does not, "
        "so that runs can be compared.",
        "optimizer.name": "`adam`, `adamw`, `sgd` or `adadelta`.",
        "optimizer.learning_rate": "Learning rate at the schedule's peak.",
        "optimizer.schedule": "`constant`, `cosine` or `linear`.",
        "optimizer.warmup_steps": "Steps of linear warm-up before the schedule.",
        "optimizer.momentum": "Momentum of `sgd`.",
        "optimizer.weight_decay": "Weight decay of `adamw`.",
        "optimizer.clip_norm": "Gradients of a larger norm are scaled to this norm; 0: "
        "none are.",
        "train.batch_size": "Images per step.",
        "train.epochs": "How often training goes through the images.",
        "train.steps_per_epoch": "Steps of an epoch; 0: as many as there are whole "
        "batches of images. With more, images come again, all equally often.",
        "train.crop_size": "Side of a square that is cut at random from each image, "
        "anew each time; 0: the whole image. With crops, images may be whole "
        "photographs, which stay on the device as bytes.",
        "train.augment": "Whether training images are flipped at random and, where "
        "they are square, turned by right angles.",
        "train.halved": "Share of the squares (`train.crop_size`) that are cut twice "
        "as large and halved. That takes away what JPEG has left: blocks, and colours "
        "of half the resolution.",
        "train.recolored": "Share of the training images that get other colours: "
        "channels are exchanged and mixed, and made paler or stronger, so that edges "
        "of brightness become edges of colour.",
        "train.start_from": "Folder of a run of the same model, its file of weights "
        f"(`*.safetensors`), or the name of a model that ships; training begins "
        "with its parameters. One of grey images may start one of colour images, and "
        f"the other way. {_PATH}",
        "train.ema_decay": "Decay of an average of the parameters, which is then what "
        "is measured; 0: no average is kept.",
        "train.early_stopping": "Epochs without a better validation loss after which "
        "training stops; 0: never.",
        "train.keep_checkpoints": "How many of the last checkpoints are kept, besides "
        "the best.",
        "train.probe_steps": "Steps at which checkerboards are measured, besides every "
        "epoch's end.",
        "sweep_exclude": "Points of a sweep to be left out, "
        '`({"corruption.level": 0.0, "loss": "bce"},)`.',
        "tune": "Fields that are tuned before a sweep, "
        '`{"optimizer.learning_rate": (3e-4, 1e-3), "by": "decoder", '
        '"seeds": (100, 101)}`.',
        "executor.name": "How a sweep's runs are done.",
        "executor.workers": "For `processes`: runs at a time, 0 for one per core. For "
        "`vmap`: the most runs in a group, 0 for as many as fit in memory. For `ray`: "
        "tasks at a time, 0 for as many as the cluster has room for.",
        "executor.cpus": "For `ray`: CPUs that a task takes; fractions are allowed.",
        "executor.gpus": "For `ray`: GPUs that a task takes; fractions are allowed. "
        "Without a GPU it computes on its CPUs.",
        "executor.group": "For `ray`: whether its tasks train groups of runs in one "
        "program, as `vmap` does.",
        "references": "What to compare with, measured once the runs are done, "
        '`("median", "pca", "nlm")`, as `--references` of `caejax eval` has them.',
    }
)
"""By dotted field. Parameters of a corruption, a loss or a source say it themselves."""


def described() -> list[tuple[str, Any, str, str]]:
    """All fields: name, default, the names that it belongs to, and what it says.

    A field that only some kinds of a section have belongs to these ("conv, layers");
    one that is always there has an empty string.
    """
    base = default()
    switched = tuple(section for section, _ in SWITCHES.values())
    rows = [
        (field, get(base, field), "", FIELDS.get(field, ""))
        for field in field_names(base)
        if not field.startswith(tuple(f"{section}." for section in switched))
    ]
    at = next(i for i, row in enumerate(rows) if row[0] == "loss")
    return rows[:at] + _of_models() + rows[at:] + _of_entries()


def _of_models():
    found: dict[str, list[str]] = {"encoder": []}
    for kind, fields in MODELS.items():
        for field in fields:
            found.setdefault(field, []).append(kind)
    rows = []
    for field, kinds in found.items():
        value = get(default(kinds[0] if kinds else "conv"), f"model.{field}")
        name = f"model.{field}"
        own = "" if kinds in ([], list(MODELS)) else ", ".join(kinds)
        rows.append((name, value, own, FIELDS.get(name, "")))
    return rows


def _of_entries():
    tables = {"corruption.name": CORRUPTIONS, "data.source": SOURCES, "loss": LOSSES}
    return [
        (f"{SWITCHES[switch].section}.{key}", parameter.default, name, parameter.doc)
        for switch, table in tables.items()
        for name in names(switch)
        for key, parameter in table[name].params.items()
    ]
