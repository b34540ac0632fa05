import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.configs import CONFIGS
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config import ids, sections
from caejax.config.check import check
from caejax.config.load import load_config
from caejax.errors import CaejaxError, chosen, did_you_mean, lookup
from caejax.sweep.spec import expand

ROOT = Path(__file__).parents[1]

CONTRACT = """
seed data.source data.name data.dir data.image_size data.limit corruption.name
corruption.level corruption.params data.params loss_params model.encoder
model.output_activation model.initializer model.dtype loss optimizer.name
optimizer.learning_rate train.batch_size train.epochs
""".split()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_locked_and_documented(path):
    name = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
    assert f"caejax run --config={name} " in path.read_text()
    config = load_config(path)
    assert config.is_locked
    for field in CONTRACT:
        config_lib.get(config, field)
    own = sections.MODELS[config.model.encoder]
    assert set(config.model) == {"encoder", *own}
    if config.model.encoder == "conv":
        assert {"widths", "latent_channels", "upsampling"} <= set(own)
    assert len(expand(config)) >= 1


def test_the_sweeps_have_the_promised_grids():
    configs = {path.stem: load_config(path) for path in CONFIGS}
    quick = expand(configs["quickstart"])
    assert len({r.values["model.upsampling"] for r in quick}) >= 3
    assert len({r.values["seed"] for r in quick}) == 2
    grid = expand(configs["mnist_sweep"])
    assert {r.values["model.latent_channels"] for r in grid} == {2, 4, 8, 16}
    assert {r.values["corruption.level"] for r in grid} == {0.1, 0.3, 0.5}
    assert len(grid) == 4 * 3 * 5


def test_default_is_locked():
    config = config_lib.default()
    line = (
        r"^config has no field 'epoch' \(did you mean 'train.epochs'\?\); `caejax show "
        "--config=NAME --all` lists all fields"
    )
    for kind in (AttributeError, CaejaxError):
        with pytest.raises(kind, match=line):
            config.train.epoch = 3
    assert config.is_locked
    assert config.train.is_locked


@pytest.mark.parametrize(
    ("section", "field", "near"),
    [
        ("model", "upsamplin", "model.upsampling"),
        ("corruption.params", "salty", ""),
        ("data.params", "train_sise", "data.train_size"),
        ("loss_params", "epsilom", ""),
    ],
)
def test_a_field_of_no_name_is_refused_at_once(section, field, near):
    """As in other sections, though these take the fields of any name."""
    config = config_lib.default()
    for copy in (config, pickle.loads(pickle.dumps(config_lib.resolve(config)))):
        hint = f" (did you mean {near!r}?)" if near else ""
        with pytest.raises(AttributeError) as raised:
            setattr(config_lib.get(copy, section), field, 3)
        assert str(raised.value).startswith(f"config has no field {field!r}{hint};")


def test_the_nearest_field_is_of_the_model_that_is_chosen():
    config = config_lib.default()
    config.model.encoder = "layers"
    config.model.encoder_layers = ("conv3 2", "pool")
    with pytest.raises(AttributeError, match=r"mean 'model\.decoder_layers'\?"):
        config.model.decoder_layer = ("nearest 2", "conv3 1")


@pytest.mark.parametrize(
    ("section", "field", "value", "what", "wanted"),
    [
        ("train", "epochs", "3", "train.epochs is '3'", "int, like 10"),
        ("train", "epochs", 2.5, "train.epochs is 2.5", "int, like 10"),
        ("data", "dir", 3, "data.dir is 3", "str, like ''"),
        ("corruption", "name", 3, "name is 3", "str, like 'gaussian'"),
    ],
)
def test_a_value_of_another_type_is_one_line(section, field, value, what, wanted):
    config = config_lib.default()
    line = f"config.{what}; it must be of type {wanted}"
    for kind in (TypeError, CaejaxError):
        with pytest.raises(kind, match=f"^{re.escape(line)}$"):
            setattr(config[section], field, value)
    with pytest.raises(TypeError, match=r"^config\.train is 3; .* section of fields$"):
        config.train = 3


def test_sections_may_be_set_whole():
    config = config_lib.default()
    config.sweep = ConfigDict({"seed": {"field": "seed", "values": (0, 1)}})
    config.executor = ConfigDict(config.executor)
    assert type(config.copy_and_resolve_references()) is type(config)
    again = pickle.loads(pickle.dumps(config_lib.resolve(config)))
    with pytest.raises(AttributeError, match=r"did you mean 'train\.epochs'"):
        again.train.epoch = 3


@pytest.mark.parametrize(
    ("size", "sides"),
    [(28, (28, 28)), ((50, 37), (50, 37)), ((64,), (64, 64)), ([8, 9], (8, 9))],
)
def test_image_size_takes_one_side_or_two(size, sides):
    config = config_lib.default()
    config.data.image_size = size
    assert config_lib.image_size(config) == sides


@pytest.mark.parametrize("size", ["big", 0, (1, 2, 3), 2.5, (4, -1)])
def test_image_size_refuses_anything_else(size):
    config = config_lib.default()
    config.data.image_size = size
    with pytest.raises(CaejaxError, match=r"config\.data\.image_size is .*; give"):
        config_lib.image_size(config)


def set_and_check(config, field, value):
    config_lib.override(config, field, value)
    check(config)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("data.source", "glyph", r"did you mean 'glyphs'.*known: glyphs, dead_leaves"),
        ("corruption.name", "gauss", "known: none, gaussian, masking"),
        ("model.upsampling", "transpose", "did you mean 'deconv_k4'.*deconv_k2"),
        ("model.upsampling", "deconv_k33", "did you mean 'deconv_k3'.*bilinear_k3"),
        ("model.encoder", "unet", "known: conv, layers, dense, tied_dense"),
        ("loss", "l2", "known: bce, mse, l1, charbonnier, log_mse, sse"),
        ("optimizer.name", "lion", "known: adam, adamw, sgd, adadelta"),
        ("corruption.level", -0.1, "at least 0"),
        ("code_penalty", -0.1, "at least 0"),
        ("train.epochs", 0, "above 0"),
        ("train.ema_decay", 1.0, "at least 0 and below 1"),
        ("corruption.level", float("nan"), "at least 0"),
        ("seed", -1, "between 0 and 2"),
        ("data.seed", 2**31, "between 0 and 2"),
        ("data.val_fraction", 1.0, "at least 0 and below 1"),
        ("data.val_fraction", -0.1, "at least 0 and below 1"),
        ("model.widths", (16, 0), "whole numbers above 0"),
        ("model.widths", (), "a width per stage"),
        ("model.decoder_widths", (8, 8), "must hold 3 numbers"),
        ("model.decoder_widths", (8, 8, 0), "whole numbers above 0"),
        ("model.downsampling", "pool", "known: max_pool, blur_pool, stride_k3, stride"),
        ("model.output_activation", "linear", "bce"),
        ("model.encoder", "layers", "needs config.model.encoder_layers and decoder_"),
        (
            "model.decoder_layers",
            ("pool",),
            "encoder is 'conv', which has no",
        ),
    ],
)
def test_check_names_the_field_and_the_mend(field, value, words):
    config = config_lib.default()
    with pytest.raises(CaejaxError, match=words) as error:
        set_and_check(config, field, value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("model.downsampling", "stride_k3"), ("model.decoder_widths", (8,))],
)
def test_only_conv_has_its_parts(field, value):
    config = config_lib.default()
    config.model.encoder, config.model.widths = "dense", (16,)
    check(config)
    config.model[field.split(".")[1]] = value
    with pytest.raises(
        CaejaxError,
        match=f"{field} is .*, but the encoder is 'dense', .* leave",
    ):
        check(config)


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (("cnv3 4",), ("conv3 1",), r"encoder_layers: 'cnv3 4' is no layer .*'conv3'"),
        (("conv3 4",), ("conv3",), r"decoder_layers: 'conv3' is no layer; layers look"),
        (("pool",) * 9, ("conv29 1 valid",), "leaves nothing of 1x1"),
        (("pool",), ("conv3 1",), "images of 14x14x1, but those of the data are 28x28"),
        (("conv3 4 relu",), ("conv1 3",), "images of 28x28x3, but .* 28x28x1; change"),
        (
            ("pool",),
            ("deconv_k2 1 relu",),
            "end in 'deconv_k2 1 relu'; leave its activ",
        ),
    ],
)
def test_layers_are_checked(encoder, decoder, words):
    config = config_lib.default()
    config.model.encoder = "layers"
    config.model.encoder_layers = encoder
    config.model.decoder_layers = decoder
    with pytest.raises(CaejaxError, match=words) as error:
        check(config)
    assert "\n" not in str(error.value)


def test_probabilities_and_sizes_are_at_most_one():
    config = config_lib.default()
    config.corruption.level = 1.5
    check(config)
    config.corruption.name = "masking"
    with pytest.raises(CaejaxError, match=r"corruption\.level is 1\.5.*between 0"):
        check(config)


def test_override_refuses_unknown_fields_and_other_types():
    config = config_lib.default()
    with pytest.raises(CaejaxError, match=r"'train\.epoch'.*'train\.epochs'"):
        config_lib.override(config, "train.epoch", 3)
    with pytest.raises(CaejaxError, match=r"config\.train\.epochs is 'many'.*int"):
        config_lib.override(config, "train.epochs", "many")
    config_lib.override(config, "corruption.level", 1)
    assert isinstance(config.corruption.level, float)


def test_the_nearest_field_is_found_by_its_last_part_too():
    line = config_lib.unknown_field("model.batch_sise")
    assert "train.batch_size" in line


def test_json_round_trip_keeps_everything_that_matters():
    config = config_lib.default()
    config.data.image_size = (50, 37)
    config.sweep = {"seed": {"field": "seed", "values": (0, 1)}}
    again = config_lib.from_json(config_lib.to_json(config))
    assert config_lib.to_json(again) == config_lib.to_json(config)
    assert again.data.image_size == (50, 37)
    assert [r.id for r in expand(again)] == [r.id for r in expand(config)]


def test_run_id_changes_with_any_field_and_with_nothing_else():
    config = config_lib.default()
    first = config_lib.run_id(config)
    assert first == config_lib.run_id(config_lib.default())
    config.corruption.level = 0.25
    second = config_lib.run_id(config)
    assert second != first
    # Of the config before it had model.decoder_widths and model.downsampling.
    assert first == "a473249027"
    config.model.decoder_widths = (32, 32, 16)
    assert config_lib.run_id(config) not in (first, second)
    # Set to 1 or to 1.0, a number is the same.
    one, other = config_lib.default(), config_lib.default()
    one.corruption.level, other.corruption.level = 1, 1.0
    assert config_lib.run_id(one) == config_lib.run_id(other)


def test_new_fields_leave_old_ids_and_files_as_they_are(monkeypatch):
    config = config_lib.default()
    assert config_lib.run_id(config) == "a473249027"  # since the first version
    setting = ids.setting_id(config.to_dict())
    config.code_penalty = 0.1
    assert config_lib.run_id(config) != "a473249027"
    # What noisy images depend on is named by the same rule.
    assert ids.setting_id(config.to_dict()) == setting == "e2e789cf6c"
    monkeypatch.setitem(ids._NEWER, "data.later", 0)
    values = config_lib.default().to_dict()
    for later, same in ((0, True), (1, False)):
        values["data"]["later"] = later
        assert (ids.setting_id(values) == setting) == same
        assert (ids.run_id(values) == "a473249027") == same
    old = config_lib.to_json(config_lib.default()).replace('"code_penalty": 0.0,', "")
    assert config_lib.from_json(old).code_penalty == 0


def test_names_of_a_flag_keep_the_order_of_the_known():
    known = {"one": 1, "two": 2, "three": 3}
    assert chosen(["all"], known, "arms") == ["one", "two", "three"]
    assert chosen(["three", "", "one", "three"], known, "arms") == ["one", "three"]
    assert chosen([""], known, "arms") == []
    line = r"--arms has 'tow' \(did you mean 'two'\?\); known: all, one, two, three"
    with pytest.raises(CaejaxError, match=line):
        chosen(["tow", "one"], known, "arms")
    with pytest.raises(CaejaxError, match="--arms has 'all'"):
        chosen(["all", "one"], known, "arms")


def test_lookup_and_did_you_mean():
    assert lookup({"a": 1}, "a", "loss") == 1
    assert did_you_mean("adm", ["adam", "sgd"]) == " (did you mean 'adam'?)"
    elsewhere = {"momentum": "sgd"}
    assert did_you_mean("momentun", ["adam", "sgd"], elsewhere).endswith("'sgd'?)")
    assert did_you_mean("rms", ["adam", "sgd"], elsewhere) == ""
    assert did_you_mean("xyz", ["adam", "sgd"]) == ""
    # Both are equally near, and the first one is the usual one.
    assert did_you_mean("nearest", ["nearest_k3", "nearest_k5"]).endswith("_k3'?)")


def test_configs_and_their_tables_do_not_import_jax():
    code = (
        "import sys, caejax.config.load, caejax.config.command_line, caejax.data;"
        "import caejax.corruptions, caejax.losses, caejax.report.findings;"
        "from caejax import config;"
        "assert config.run_id(config.from_json('{}')) == 'a473249027';"
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"halved": 0.5}, "set crop_size between 1 and 14, or halved to 0"),
        ({"halved": 0.5, "crop_size": 15}, "twice config.train.crop_size, which is 15"),
        ({"halved": 1.5, "crop_size": 8}, "halved is 1.5; it must be from 0 to 1"),
        ({"recolored": 0.5}, "config.data.channels is 1; set recolored to 0"),
    ],
)
def test_what_training_sees_is_checked(values, words):
    config = config_lib.default()
    config.train.update(values)
    with pytest.raises(CaejaxError, match=words):
        check(config)


def test_all_squares_may_be_halved():
    config = config_lib.default()
    config.train.crop_size, config.train.halved = 14, 1.0
    check(config)
