"""Sections that follow a name: from Python, files, the command line and sweeps."""

import json
import shlex

import pytest
from helpers.tiny import save_checkpoints, tiny_config

from caejax import config as config_lib
from caejax.config import command_line, ids, sections
from caejax.config.check import check
from caejax.config.load import load_config
from caejax.errors import CaejaxError
from caejax.sweep.spec import expand
from caejax.training.folder import claim
from caejax.training.task import model_from_config

LAYERS = {
    "model.encoder_layers": ("conv3 8 relu", "pool"),
    "model.decoder_layers": ("deconv_k2 1",),
}


def test_what_was_not_set_takes_the_default_of_the_new_name():
    config = config_lib.default()
    sections.choose(config, "loss", "charbonnier")
    assert config.loss_params.epsilon == 1e-3
    sections.choose(config, "loss", "log_mse")
    assert config.loss_params.epsilon == 1e-4
    config.loss_params.epsilon = 0.5
    sections.choose(config, "loss", "charbonnier")
    assert config.loss_params.epsilon == 0.5


@pytest.mark.parametrize("encoder", sections.MODELS)
def test_the_default_has_the_fields_of_its_kind(encoder):
    config = config_lib.default(encoder)
    assert set(config.model) == {"encoder", *sections.MODELS[encoder]}
    assert config.is_locked
    assert config_lib.resolve(config).to_dict() == config.to_dict()


def test_there_is_no_other_kind():
    with pytest.raises(CaejaxError, match=r"is 'cnv' \(did you mean 'conv'\?\)"):
        config_lib.default("cnv")


def test_choosing_keeps_what_both_kinds_have():
    config = config_lib.default()
    config.model.latent_channels = 5
    config.model.upsampling = "deconv_k4"
    config_lib.choose(config, "model.encoder", "dense")
    assert set(config.model) == {"encoder", *sections.MODELS["dense"]}
    assert config.model.latent_channels == 5
    check(config)
    config_lib.override(config, "model.encoder", "conv")
    assert config.model.latent_channels == 5
    assert config.model.upsampling == "nearest_k3"


@pytest.mark.parametrize(
    ("encoder", "field", "value", "words"),
    [
        ("dense", "upsampling", "deconv_k4", "encoder is 'dense', which has no such"),
        ("tied_dense", "widths", (8,), r"widths is \(8,\), but the encoder is 'tied_"),
        ("conv", "encoder_layers", ("pool",), "but the encoder is 'conv'"),
        ("conv", "widht", 3, r"no field 'widht' \(did you mean 'model\.widths'\?\)"),
        ("conv", "latent_channels", "few", "is 'few'; it must be of type int, like 8"),
    ],
)
def test_a_file_is_told_what_does_not_apply(encoder, field, value, words, tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from caejax.config import default\n"
        "def get_config():\n"
        "    config = default()\n"
        f"    config.model.{field} = {value!r}\n"
        f"    config.model.encoder = {encoder!r}\n"
        "    return config\n"
    )
    with pytest.raises(CaejaxError, match=words) as error:
        load_config(path)
    assert "\n" not in str(error.value)


def test_a_file_may_name_the_kind_after_the_default(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from caejax.config import default\n"
        "def get_config():\n"
        "    config = default()\n"
        "    config.model.encoder = 'tied_dense'\n"
        "    config.model.widths = ()\n"
        "    config.model.latent_channels = 3\n"
        "    return config\n"
    )
    config = load_config(path)
    assert set(config.model) == {"encoder", *sections.MODELS["tied_dense"]}
    assert model_from_config(config).code_shape == (3,)


@pytest.mark.parametrize("last", [True, False])
def test_the_command_line_switches_in_any_order(last):
    flags = [f"--config.{field}={value}" for field, value in LAYERS.items()]
    flags.insert(2 if last else 0, "--config.model.encoder=layers")
    config = tiny_config()
    command_line.apply(config, flags, "FILE")
    assert config_lib.get(config, "model.decoder_layers") == ("deconv_k2 1",)
    assert set(config.model) == {"encoder", *sections.MODELS["layers"]}
    check(config)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--config.model.encoder=dense", "--config.model.upsampling=x"],
            "does not app",
        ),
        (["--config.model.encoder=unet"], "known: conv, layers, dense, tied_dense"),
        (["--config.data.download=perhaps"], "must be True or False"),
        (["--config.train.epochs"], "has no value; give --config.train.epochs=VALUE"),
        (["--config.train.epoch=1"], "did you mean 'train.epochs'"),
    ],
)
def test_the_command_line_is_told_what_is_wrong(flags, words):
    with pytest.raises(CaejaxError, match=words) as error:
        command_line.apply(tiny_config(), flags, "FILE")
    assert "\n" not in str(error.value)


AXES = {
    "seed": {"field": "seed", "values": (0, 1)},
    "noise": {
        "field": ("corruption.name", "corruption.level"),
        "values": (("masking", 0.3), ("cross", 3.0)),
    },
    "kind": {"field": "model.encoder", "values": ("dense", "tied_dense")},
}
CONFIGS = {"system": {"config": ("seeds/b_basic",)}}


@pytest.mark.parametrize(
    ("axes", "mode", "flag", "words"),
    [
        (AXES, "run", "seed=3", r"'seed' .* --config.sweep.seed.values=\"\(3,\)\""),
        (AXES, "show", "corruption.level=0.5", r"'noise' .*sweep\.noise\.values="),
        (AXES, "run", "model.widths=(4,)", ""),
        (AXES, "run", "model.upsampling=deconv_k4", "'kind' .* no model.encoder has"),
        (AXES, "run", "train.epochs=3", ""),
        (AXES, "run", "executor.workers=3", ""),
        (AXES, "run", "sweep.seed.values=(0,)", ""),
        (CONFIGS, "run", "train.epochs=3", r"'system' .*\"values\": \(3,\)}"),
        (CONFIGS, "run", "executor.name=vmap", ""),
        (AXES, "eval", "corruption.level=0.5", ""),
        (AXES, "eval", "data.dir=DIR", ""),
        (AXES, "eval", "train.epochs=3", "takes data and corruption alone"),
        (AXES, "report", "train.epochs=3", "of what runs have written"),
        ({}, "run", "seed=3", ""),
        ({"seed": (0, 1)}, "run", "seed=3", ""),  # which the sweep refuses
    ],
)
def test_what_would_change_nothing_is_refused(axes, mode, flag, words):
    config = tiny_config()
    config.sweep = axes
    flags = [f"--config.{flag}"]
    command_line.apply(config, flags, "FILE")
    if not words:
        command_line.check_counts(config, flags, mode)
        return
    start = f"config.{flag.split('=')[0]} is set, but "
    with pytest.raises(CaejaxError, match=rf"\A{start}.*{words}") as error:
        command_line.check_counts(config, flags, mode)
    assert "\n" not in str(error.value)


def test_what_a_sweep_tunes_cannot_be_set():
    config = tiny_config()
    config.sweep = {"seed": AXES["seed"]}
    config.tune = {"optimizer.learning_rate": (1e-3, 1e-2), "seeds": (7, 8)}
    flags = ["--config.optimizer.learning_rate=0.1"]
    command_line.apply(config, flags, "FILE")
    with pytest.raises(CaejaxError, match=r"is set, but config\.tune") as error:
        command_line.check_counts(config, flags, "run")
    flags += shlex.split(str(error.value))[-1:]
    command_line.apply(config, flags, "FILE")
    command_line.check_counts(config, flags, "run")


def test_a_value_that_no_run_can_have_is_not_advised_for_an_axis():
    config = tiny_config()
    config.sweep = {"decoder": {"field": "model.upsampling", "values": ("deconv_k3",)}}
    flags = ["--config.model.upsampling=conv_k4"]
    command_line.apply(config, flags, "FILE")
    with pytest.raises(CaejaxError, match=r"'conv_k4' \(did you mean 'deconv_k4'\?\)"):
        command_line.check_counts(config, flags, "run")


def test_of_a_field_that_is_set_twice_the_last_value_counts():
    config = tiny_config()
    command_line.apply(config, ["--config.seed=3", "--config.seed=4"], "FILE")
    assert config.seed == 4


def test_an_axis_is_narrowed_as_the_error_says():
    config = tiny_config()
    config.sweep = {"seed": AXES["seed"]}
    flags = ["--config.seed=3"]
    command_line.apply(config, flags, "FILE")
    with pytest.raises(CaejaxError) as error:
        command_line.check_counts(config, flags, "run")
    command_line.apply(config, shlex.split(str(error.value))[-1:], "FILE")
    assert [run.config.seed for run in expand(config)] == [3]


def test_words_are_split_from_flags_of_the_config():
    argv = "caejax --config=FILE --config.data.download --cores 2 --noconfig.a"
    argv = [
        *argv.split(),
        "-config.b",
        "-0.5",
        "--config.c=1 2",
        "word",
        "--",
        "--config.d",
    ]
    rest, overrides = command_line.split(argv)
    assert rest == [
        "caejax",
        "--config=FILE",
        "--cores",
        "2",
        "word",
        "--",
        "--config.d",
    ]
    assert overrides == [
        "--config.data.download",
        "--noconfig.a",
        "-config.b=-0.5",
        "--config.c=1 2",
    ]
    config = tiny_config()
    values = ["--config.data.download", "--config.data.image_size=(16, 24)"]
    command_line.apply(config, values, "FILE")
    assert config.data.download
    assert config.data.image_size == (16, 24)


def test_a_malformed_axis_is_refused_by_the_sweep_and_not_before(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from caejax.config import default\n"
        "def get_config():\n"
        "    config = default()\n"
        "    config.sweep = {'noise': (0.1, 0.5)}\n"
        "    return config\n"
    )
    config = load_config(path)
    with pytest.raises(CaejaxError, match=r"config\.sweep\.noise must hold 'field'"):
        expand(config)


def test_a_sweep_goes_over_kinds():
    config = tiny_config()
    config.model.upsampling = "deconv_k4"
    config.sweep = {
        "kind": {"field": "model.encoder", "values": ("conv", "dense", "tied_dense")},
        "size": {"field": "model.latent_channels", "values": (2, 3)},
    }
    config.sweep_exclude = (
        {"model.upsampling": "deconv_k4", "model.latent_channels": 2},
    )
    runs = expand(config)
    kinds = [(r.config.model.encoder, r.config.model.latent_channels) for r in runs]
    others = [(kind, size) for kind in ("dense", "tied_dense") for size in (2, 3)]
    assert kinds == [("conv", 3), *others]
    assert "upsampling" not in runs[-1].config.model
    config.sweep_exclude = ({"model.upsampled": "deconv_k4"},)
    with pytest.raises(CaejaxError, match=r"no field 'model\.upsampled'"):
        expand(config)


def test_old_files_are_read_and_their_ids_are_as_they_were():
    everything = {k: v for kind in sections.MODELS.values() for k, v in kind.items()}
    for encoder in sections.MODELS:
        config = config_lib.default(encoder)
        if encoder == "layers":
            config_lib.override_all(config, LAYERS)
        old = config.to_dict()
        old["model"] = everything | old["model"]
        if encoder == "tied_dense":
            old["model"]["widths"] = ()
        before = ids.run_id(old)
        read = config_lib.from_json(json.dumps(old))
        assert read.to_dict() == config.to_dict()
        assert config_lib.run_id(read) == before
        old["model"]["bottleneck"] = "pooled"  # which this kind need not have
        if encoder != "conv":
            assert config_lib.from_json(json.dumps(old)).to_dict() == config.to_dict()


def test_a_folder_of_another_kind_is_refused_by_its_kind(tmp_path):
    config = tiny_config()
    save_checkpoints(tmp_path, config, seeds=(0,))
    config_lib.choose(config, "model.encoder", "dense")
    line = "model.encoder is 'conv' there and 'dense' here"
    with pytest.raises(CaejaxError, match=line):
        claim(tmp_path, config)
