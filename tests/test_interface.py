"""The interface in Python, as a notebook uses it."""

import doctest
import importlib
import inspect
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config
from PIL import Image

import caejax
from caejax import apply, interface
from caejax.config import to_json
from caejax.files.locks import holding
from caejax.training import loop

ROOT = Path(__file__).parents[1]
FUNCTIONS = [name for name in interface.__all__ if name != "Model"]


@pytest.fixture(scope="module", autouse=True)
def devices():
    """What JAX has chosen before: the interface is to leave other tests alone."""
    return jax.devices()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("interface")


@pytest.fixture(scope="module")
def run(folder):
    """A tiny run, trained by the interface."""
    caejax.train(tiny_config(), folder / "run", verbose=False)
    return folder / "run"


@pytest.fixture(scope="module")
def model(run):
    return caejax.load(run)


@pytest.fixture(scope="module")
def clean(run):
    return caejax.load_data(tiny_config()).test.images


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + np.random.default_rng(0).normal(0, 0.5, clean.shape)


def saved(folder, **changes):
    """A model that needs no training, of a config with other values."""
    config = tiny_config()
    for field, value in changes.items():
        section, name = field.split("__")
        config[section][name] = value
    save_checkpoints(folder, config, seeds=[0])
    return caejax.load(folder)


@pytest.fixture(scope="module")
def colour(folder):
    return saved(folder / "colour", data__channels=3)


@pytest.fixture(scope="module")
def dense(folder):
    return saved(folder / "dense", model__encoder="dense")


def test_importing_it_imports_no_libraries():
    program = (
        "import sys, caejax; print(sorted({'jax', 'numpy', 'flax'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True, env=environment) == "[]\n"


def test_all_names_are_there():
    assert set(caejax.__all__) == {
        *interface.__all__,
        "CaejaxError",
        "__version__",
        "diagnose",
        "fix",
        "measure",
        "metrics",
    }
    assert set(caejax.__all__) == set(dir(caejax))
    for name in interface.__all__:
        assert getattr(caejax, name) is getattr(interface, name)
    assert inspect.ismodule(caejax.metrics)
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        _ = caejax.denoize


def test_no_function_has_the_name_of_a_room():
    """Python would put the room in its place as soon as that is imported."""
    rooms = {path.stem for path in Path(caejax.__file__).parent.iterdir()}
    assert rooms & set(caejax.__all__) == {"diagnose", "fix", "measure", "metrics"}


@pytest.mark.parametrize("name", ["diagnose", "fix", "measure"])
def test_a_room_of_one_function_is_that_function(name):
    room = importlib.import_module(f"caejax.{name}")
    function = getattr(caejax, name)
    assert inspect.isfunction(function)
    assert function is getattr(room, name)
    # With the room's names, also of files that are imported later.
    part = importlib.import_module(f"caejax.{name}.__main__")
    assert function.__main__ is part
    assert all(getattr(function, x) is getattr(room, x) for x in room.__all__)


def test_help_shows_all_functions_and_what_they_take():
    text = pydoc.plain(pydoc.render_doc(caejax))
    _, functions = text.split("\nFUNCTIONS\n")
    for name in (*FUNCTIONS, "diagnose", "fix", "measure"):
        assert f"\n    {name}(" in f"\n{functions}", name
        alone = pydoc.plain(pydoc.render_doc(getattr(caejax, name)))
        assert alone.splitlines()[2].startswith(f"{name}("), name


@pytest.mark.parametrize("name", ["denoise", "encode", "reconstruct"])
def test_help_of_a_function_says_by_itself_which_images_it_takes(name):
    text = inspect.getdoc(getattr(caejax, name))
    forms = ("(H, W)", "(H, W, C)", "(N, H, W)", "(N, H, W, C)")
    kinds = ("a list", "NumPy, JAX or PyTorch", "uint8, uint16", "floats in [0, 1]")
    last = ("channels last", "in tiles" if name != "encode" else "each tile has a code")
    words = " ".join(text.split())
    assert all(word in words for word in (*forms, *kinds, *last))
    assert "above" not in words


@pytest.mark.parametrize("name", [*interface.__all__, "measure"])
def test_examples(name, run, model, clean, noisy, tmp_path):
    given = {
        "caejax": caejax,
        "np": np,
        "run": run,
        "model": model,
        "clean": clean,
        "noisy": noisy,
        "folder": tmp_path,
    }
    finder = doctest.DocTestFinder(recurse=name == "Model")
    found = finder.find(getattr(caejax, name), name, globs=given)
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    runner = doctest.DocTestRunner(optionflags=options)
    for test in found:
        assert test.examples or "._" in test.name, test.name
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_they_take_return_and_raise(name):
    function = getattr(caejax, name)
    signature, text = inspect.signature(function), inspect.getdoc(function)
    assert "Returns:\n" in text
    for parameter in signature.parameters.values():
        assert f"  {parameter.name}: " in text
        assert parameter.annotation is not inspect.Parameter.empty
    assert not signature.parameters or "Raises:\n  CaejaxError: " in text


def test_training_is_that_of_the_command(run, folder):
    other = loop.train(tiny_config(), folder / "other", verbose=False)
    summary = caejax.train(tiny_config(), str(run))  # which is finished
    del summary["train_seconds"], other["train_seconds"]
    assert summary == other
    assert summary["epochs"] == 2


def test_configs_are_named_or_filed_and_left_alone(run, tmp_path, capsys):
    file = tmp_path / "tiny_file.py"
    file.write_text("from helpers.tiny import tiny_config as get_config")
    assert caejax.train(file, run)["epochs"] == 2
    assert to_json(caejax.load_config(str(file))) == to_json(tiny_config())
    config = tiny_config()
    before = to_json(config)
    caejax.train(config, run)
    assert to_json(config) == before
    assert capsys.readouterr().out == ""


def test_progress_is_shown_unless_it_is_not_wanted(tmp_path, capsys):
    config = tiny_config()
    config.train.epochs = 1
    caejax.train(config, tmp_path / "a", verbose=False)
    assert capsys.readouterr().out == ""
    caejax.train(config, tmp_path / "b")
    assert "epoch 1/1" in capsys.readouterr().out


def sweep():
    config = tiny_config()
    config.sweep = {"seed": {"field": "seed", "values": (0, 1)}}
    return config


def unfit():
    config = tiny_config()
    config.loss = "bse"
    return config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (sweep, r"is a sweep, .* set config.sweep = \{\}"),
        (unfit, "config.loss is 'bse' .did you mean 'bce'"),
        (lambda: {"seed": 0}, "a config is what caejax.default_config.* this is dict"),
        (lambda: "quickstrat", "did you mean 'quickstart'"),
        (lambda: Path("nowhere/config.py"), "'nowhere/config.py' is no file"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(config, words, tmp_path):
    with pytest.raises(caejax.CaejaxError, match=words) as caught:
        caejax.train(config(), tmp_path / "new")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "new" / "checkpoints").exists()


def test_folders_that_cannot_be_trained_in_are_refused(run, tmp_path):
    other = tiny_config()
    other.seed = 1
    with pytest.raises(caejax.CaejaxError, match="holds another run: seed is 0 there"):
        caejax.train(other, run)
    (tmp_path / "file").touch()
    with pytest.raises(caejax.CaejaxError, match="file is a file; name a folder"):
        caejax.train(tiny_config(), tmp_path / "file")
    with (
        holding(tmp_path / ".lock"),
        pytest.raises(caejax.CaejaxError, match="another process trains in"),
    ):
        caejax.train(tiny_config(), tmp_path)


def test_a_model_is_loaded_by_str_or_path_and_shows_what_it_is(run, model):
    for place in (run, str(run)):
        same = caejax.load(place)
        jax.tree.map(np.testing.assert_array_equal, same.params, model.params)
    assert to_json(model.config) == to_json(tiny_config())
    assert repr(model) == (
        "<caejax.Model conv of 16x16x1, 459 parameters, trained on gaussian 0.5, "
        f"from {run}>"
    )
    config = tiny_config()
    config.corruption.train_range = (0.0, 0.25)
    same = caejax.Model(model.trained._replace(config=config), "it")
    assert "trained on gaussian 0 to 0.25, from it" in repr(same)
    config.corruption.train_range = (0.0, 55 / 255)
    config.train.crop_size = 8
    same = caejax.Model(model.trained._replace(config=config), "it")
    assert "conv of 8x8x1 crops, 459" in repr(same)
    assert "trained on gaussian 0 to 55 of 255, from it" in repr(same)


def test_a_run_of_a_sweep_is_loaded(folder, tmp_path):
    save_checkpoints(tmp_path / "runs" / "0123456789", tiny_config(), seeds=[0])
    (tmp_path / "config.json").write_text(to_json(sweep()))
    assert caejax.load(tmp_path / "runs" / "0123456789").config.seed == 0
    with pytest.raises(caejax.CaejaxError, match=r"one of its runs, .*/0123456789 for"):
        caejax.load(tmp_path)
    for name in "abcdef":
        save_checkpoints(tmp_path / "runs" / name, tiny_config(), seeds=[0])
    with pytest.raises(
        caejax.CaejaxError, match=r"are a, b, c, d, 2 more\); .*csv says"
    ):
        caejax.load(tmp_path)


def test_what_is_no_model_is_one_line(run, tmp_path):
    for place, words in {
        "denoiser_grey": r"ships with caejax \(did you mean 'denoiser_gray'\?\); name",
        "denoiser": "'denoiser' is no model: the folder .* does not exist, and none of",
        str(run / "config.json"): "config.json is a file, and of files only those",
        str(tmp_path): "holds no run",
        17: "by the folder of a run, a safetensors file .*denoiser_gray.*; this is int",
    }.items():
        with pytest.raises(caejax.CaejaxError, match=words) as caught:
            caejax.load(place)
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(caejax.CaejaxError, match=words):
            caejax.denoise(np.zeros((16, 16)), place)


FORMS = {
    "(N, H, W, C)": lambda x: x,
    "(N, H, W)": lambda x: x[..., 0],
    "(H, W, C)": lambda x: x[0],
    "(H, W)": lambda x: x[0, ..., 0],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["denoise", "reconstruct"])
def test_images_come_back_in_the_form_they_were_given(name, form, model, clean):
    expected = FORMS[form](getattr(model, name)(clean))
    images = FORMS[form](clean)
    output = getattr(caejax, name)(images, model)
    assert (type(output), output.dtype) == (np.ndarray, np.float32)
    np.testing.assert_allclose(output, expected, atol=1e-6)
    # Byte by byte the same numbers, whatever holds them.
    for same in (images.astype(np.float64), jax.numpy.asarray(images)):
        np.testing.assert_array_equal(getattr(model, name)(same), output)


def test_the_model_is_the_runs_own(model, clean):
    apply = jax.jit(model.trained.model.apply, static_argnames="method")
    linear = apply({"params": model.params}, clean)
    expected = jax.nn.sigmoid(linear)
    np.testing.assert_allclose(model.reconstruct(clean), expected, atol=1e-6)
    code = apply({"params": model.params}, clean, method="encode")
    np.testing.assert_allclose(model.encode(clean), code, atol=1e-6)
    np.testing.assert_allclose(model.decode(code), expected, atol=1e-6)


def test_pytorch_tensors_give_numpys_arrays(torch, model, clean):
    tensor = torch.from_numpy(clean)
    np.testing.assert_array_equal(model.denoise(tensor), model.denoise(clean))
    np.testing.assert_array_equal(
        model.decode(torch.from_numpy(model.encode(clean))), model.reconstruct(clean)
    )


@pytest.mark.parametrize("kind", ["model", "dense", "colour"])
@pytest.mark.parametrize("size", [(16, 16), (9, 30), (70, 45)])
def test_the_command_does_the_same(kind, size, request, tmp_path, capsys):
    used = request.getfixturevalue(kind)
    channels = (3,) if kind == "colour" else ()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, *channels), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    flags = f"--run={used.source}", f"--out={tmp_path / 'out'}", "--nocache"
    assert apply.main(["denoise", *flags, str(tmp_path / "image.png")]) == 0
    with np.load(tmp_path / "out" / "image.npz") as file:
        expected = file["output"].reshape(pixels.shape)
    np.testing.assert_array_equal(used.denoise(pixels), expected)
    # Several of one size share batches.
    both = used.denoise(np.stack([pixels, 255 - pixels]).reshape(2, *size, -1))
    np.testing.assert_allclose(both[0].reshape(pixels.shape), expected, atol=1e-6)


def test_batches_are_not_one_image_each(model, monkeypatch, clean):
    sizes = []
    reconstruct = interface.trained.reconstruct(model.trained)

    def counted(own):
        return lambda images: sizes.append(len(images)) or reconstruct(images)

    monkeypatch.setattr(interface.trained, "reconstruct", counted)
    model.denoise(np.zeros((100, 16, 16)))
    model.denoise([np.zeros((16, 16)), np.zeros((20, 16)), np.zeros((16, 16))])
    assert sizes == [128, 2, 1]


def test_a_list_holds_images_of_any_sizes_and_gives_a_list(model, clean):
    images = [clean[0], np.zeros((40, 17)), clean[1, ..., 0], np.ones((3, 5, 1), bool)]
    outputs = model.denoise(images)
    assert [x.shape for x in outputs] == [x.shape for x in images]
    for image, output in zip(images, outputs, strict=True):
        np.testing.assert_allclose(output, model.denoise(image), atol=1e-6)
    codes = model.encode((clean[0], np.zeros((40, 17))))
    assert [code.shape for code in codes] == [(4, 4, 2), (3, 2, 4, 4, 2)]
    decoded = model.decode(codes)
    assert [x.shape for x in decoded] == [(16, 16, 1), (3, 2, 16, 16, 1)]
    with pytest.raises(caejax.CaejaxError, match=r"images\[1\]: str is no array"):
        model.denoise([clean[0], "image.png"])
    with pytest.raises(caejax.CaejaxError, match="empty list"):
        model.encode([])


def test_large_images_have_a_code_a_tile(model, clean):
    wide = np.concatenate([clean[0], clean[1]], axis=1)
    codes = model.encode(wide)
    assert codes.shape == (1, 2, 4, 4, 2)
    np.testing.assert_allclose(codes[0], model.encode(clean[:2]), atol=1e-6)
    assert model.encode(wide[None]).shape == (1, 1, 2, 4, 4, 2)


def test_codes_of_other_models_are_refused(model, dense, clean):
    assert dense.encode(clean).shape == (12, 2)
    assert dense.decode(np.zeros(2)).shape == (16, 16, 1)
    with pytest.raises(caejax.CaejaxError, match=r"the model's are \(4, 4, 2\)"):
        model.decode(dense.encode(clean))
    with pytest.raises(caejax.CaejaxError, match="codes: str is no array"):
        model.decode("codes.npz")


def test_denoise_takes_noise_that_is_not_clipped_and_reconstruct_does_not(model, noisy):
    clipped = model.denoise(noisy.clip(0, 1))
    np.testing.assert_array_equal(model.denoise(noisy), clipped)
    with pytest.raises(caejax.CaejaxError, match=r"and floats must lie in \[0, 1\];"):
        model.reconstruct(noisy)
    with pytest.raises(caejax.CaejaxError, match="divide by 255"):
        model.denoise(255 * noisy)


def test_colour_models_take_colour_only(colour, clean):
    assert colour.denoise(np.zeros((20, 30, 3))).shape == (20, 30, 3)
    with pytest.raises(caejax.CaejaxError, match="takes colour images; repeat"):
        colour.denoise(clean)


def test_data_is_that_of_the_config(clean):
    config = tiny_config()
    data = caejax.load_data(config)
    assert [len(part.images) for part in data] == [32, 8, 12]
    for part in data:
        assert (type(part.images), part.images.dtype) == (np.ndarray, np.float32)
        assert part.labels.shape == part.images.shape[:1]
    config.data.source = "npz"
    config.data.dir = "nowhere"
    with pytest.raises(caejax.CaejaxError, match="nowhere"):
        caejax.load_data(config)


def test_a_default_config_is_new_each_time():
    config = caejax.default_config()
    config.seed = 3
    assert caejax.default_config().seed == 0
    assert set(caejax.load_config("quickstart").sweep) == {"decoder", "seed"}
    with pytest.raises(caejax.CaejaxError, match="by name or file, and this is int"):
        caejax.load_config(3)


@pytest.mark.parametrize(
    ("shape", "name"), [((9, 12), "denoiser_gray"), ((2, 9, 12, 3), "denoiser_color")]
)
def test_without_a_model_that_which_ships_denoises(shape, name):
    images = np.random.default_rng(0).random(shape)
    expected = caejax.load(name).denoise(images)
    np.testing.assert_array_equal(caejax.denoise(images), expected)
    if len(shape) == 2:
        np.testing.assert_array_equal(caejax.denoise([images])[0], expected)
