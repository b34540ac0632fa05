"""The command line of trained models, on images of every kind."""

import errno
import functools
import json
import os
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config
from PIL import Image

from caejax import apply
from caejax.config import to_json
from caejax.corruptions import choose
from caejax.data.listing import list_pictures
from caejax.errors import CaejaxError
from caejax.inference import trained
from caejax.inference.job import Job, claim, each, find_images, load_images
from caejax.metrics.noise import corrupt_examples
from caejax.runtime import keys
from caejax.training.images import load_split


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with a checkpoint; a ReLU code has dead units."""
    config = tiny_config()
    config.model.code_activation = "relu"
    workdir = tmp_path_factory.mktemp("apply") / "run"
    save_checkpoints(workdir, config, seeds=[0])
    return workdir


@pytest.fixture
def command(run, tmp_path, capsys):
    """Runs the program; returns its exit code, error lines and output folder."""

    def call(name, *flags, where=run, out="out"):
        flags = [f"--run={where}", f"--out={tmp_path / out}", "--nocache", *flags]
        try:
            code = apply.main([name, *map(str, flags)])
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().err.splitlines(), tmp_path / out

    return call


def arrays(path):
    with np.load(path) as file:
        return dict(file)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def digit(seed=0, size=(16, 16)):
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


@functools.partial(jax.jit, static_argnames=("model", "method"))
def applied(model, params, x, method="__call__"):
    return model.apply({"params": params}, x, method=method)


def own_output(run, images):
    """What the run's model makes of images (B, 16, 16, 1)."""
    own = trained.load(run)
    linear = applied(own.model, own.params, images)
    return np.clip(own.model.to_image(linear), 0, 1)


def test_reconstruct_takes_the_noise_that_runs_are_measured_with(run, command):
    code, errors, out = command("reconstruct", "--split=val")
    assert (code, errors) == (0, [])
    made, part = arrays(out / "reconstructions.npz"), load_split(tiny_config(), "val")
    noisy = corrupt_examples(
        choose("gaussian"),
        keys.stream(0, "val_noise"),
        part.images,
        np.arange(len(part.images)),
        0.5,
    )
    np.testing.assert_array_equal(made["original"], part.images)
    np.testing.assert_array_equal(made["labels"], part.labels)
    np.testing.assert_allclose(made["input"], noisy, atol=1e-5)
    np.testing.assert_allclose(made["output"], own_output(run, noisy), atol=1e-5)
    with Image.open(out / "reconstructions.png") as figure:
        assert figure.width == 1350


def test_runs_that_stop_early_are_used_at_their_best(tmp_path):
    config = tiny_config()
    for patience, seed in ((0, 2), (3, 1)):
        config.train.early_stopping = patience
        workdir = tmp_path / str(patience)
        save_checkpoints(workdir, config, seeds=[1, 2])
        save_checkpoints(tmp_path / f"only {patience}", config, seeds=[seed])
        used = trained.load(workdir).params
        expected = trained.load(tmp_path / f"only {patience}").params
        jax.tree.map(np.testing.assert_array_equal, used, expected)


def test_encode_saves_codes_labels_and_indices(run, command):
    code, _, out = command("encode", "--split=val", "--limit=5")
    made = arrays(out / "codes.npz")
    part, own = load_split(tiny_config(), "val"), trained.load(run)
    expected = applied(own.model, own.params, part.images[:5], method="encode")
    assert code == 0
    np.testing.assert_allclose(made["codes"], expected, atol=1e-5)
    np.testing.assert_array_equal(made["labels"], part.labels[:5])
    assert made["indices"].tolist() == [0, 1, 2, 3, 4]


def test_encode_cuts_images_into_tiles(run, command, tmp_path):
    image = save(tmp_path / "wide.png", digit(size=(16, 40)))
    code, _, out = command("encode", image)
    made = arrays(out / "codes.npz")
    pixels = np.pad(np.asarray(Image.open(image)), ((0, 0), (4, 4)), mode="edge")
    tiles = pixels.reshape(16, 3, 16, 1).swapaxes(0, 1) / np.float32(255)
    own = trained.load(run)
    expected = applied(own.model, own.params, tiles, method="encode")
    assert code == 0
    np.testing.assert_allclose(made["codes"], expected, atol=1e-5)
    assert made["corners"].tolist() == [[0, -4], [0, 12], [0, 28]]
    assert made["files"][made["indices"]].tolist() == [str(image)] * 3


def test_neighbours_leave_the_query_out_and_find_its_copy(command, tmp_path):
    code, _, out = command("neighbours", "--query=7,2", "--k=3")
    made = arrays(out / "neighbours.npz")
    assert code == 0
    assert made["query_indices"].tolist() == [7, 2]
    assert made["indices"].shape == (2, 3)
    assert not (made["indices"] == [[7], [2]]).any()
    assert np.all(np.diff(made["distances"], axis=1) >= 0)
    part = load_split(tiny_config(), "test")
    np.testing.assert_array_equal(made["labels"], part.labels[made["indices"]])
    eight_bits = np.rint(part.images[7, ..., 0] * 255).astype(np.uint8)
    image = save(tmp_path / "seven.png", eight_bits)
    code, _, out = command("neighbours", image, "--k=1", out="own")
    assert code == 0
    assert arrays(out / "neighbours.npz")["indices"].tolist() == [[7]]


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_samples_are_decoded_draws_within_the_codes_range(run, command, covariance):
    flags = (f"--covariance={covariance}", "--components=2", "--count=7", "--seed=3")
    code, _, out = command("sample", *flags)
    made = arrays(out / "samples.npz")
    own, part = trained.load(run), load_split(tiny_config(), "train")
    decoded = applied(own.model, own.params, made["codes"], method="decode")
    codes = applied(own.model, own.params, part.images, method="encode")
    codes = np.asarray(codes)
    assert code == 0
    np.testing.assert_allclose(
        made["images"], np.clip(own.model.to_image(decoded), 0, 1), atol=1e-5
    )
    assert np.all(made["codes"] >= codes.min(0) - 1e-5)
    assert np.all(made["codes"] <= codes.max(0) + 1e-5)
    assert made["images"].std(axis=0).max() > 1e-3
    assert made["weights"].sum() == pytest.approx(1)
    assert made["means"].shape == (2, 32)
    assert made["covariances"].shape == (
        (2, 32, 32) if covariance == "full" else (2, 32)
    )
    assert np.isfinite(made["log_likelihood"])


def test_interpolation_begins_and_ends_with_reconstructions(run, command):
    code, _, out = command("interpolate", "--between=4,1", "--steps=3")
    made = arrays(out / "interpolation.npz")
    pair = load_split(tiny_config(), "test").images[[4, 1]]
    own = trained.load(run)
    codes = applied(own.model, own.params, pair, method="encode")
    middle = applied(
        own.model, own.params, codes.mean(0, keepdims=True), method="decode"
    )
    assert code == 0
    np.testing.assert_allclose(made["images"][::2], own_output(run, pair), atol=1e-5)
    np.testing.assert_allclose(
        made["images"][1:2], own.model.to_image(middle), atol=1e-5
    )
    np.testing.assert_array_equal(made["ends"], pair)


def test_interpolation_of_large_images_ends_like_their_reconstructions(
    command, tmp_path
):
    images = [save(tmp_path / f"{i}.png", digit(i, (20, 31))) for i in range(2)]
    code, _, out = command("interpolate", *images, "--steps=2")
    made = arrays(out / "interpolation.npz")
    assert code == 0
    code, _, out = command("reconstruct", *images)
    assert code == 0
    for i in range(2):
        expected = arrays(out / f"{i}.npz")["output"]
        np.testing.assert_allclose(made["images"][i], expected, atol=1e-5)


def test_denoise_adds_nothing_to_the_users_images(run, command, tmp_path):
    image = save(tmp_path / "own.png", digit())
    code, _, out = command("denoise", image)
    output = arrays(out / "own.npz")["output"]
    expected = own_output(run, digit()[None, ..., None] / np.float32(255))[0]
    assert code == 0
    np.testing.assert_allclose(output, expected, atol=1e-5)
    written = np.asarray(Image.open(out / "own.png"))
    np.testing.assert_array_equal(written, np.rint(output[..., 0] * 255))


def test_a_model_that_is_worse_than_its_input_is_not_used_in_silence(
    run, command, tmp_path
):
    image = save(tmp_path / "own.png", digit())
    poor = shutil.copytree(run, tmp_path / "poor")
    told = []
    for psnr in (11.35, 12.83):
        values = {"test/psnr": psnr, "test/psnr_noisy": 12.82}
        (poor / "summary.json").write_text(json.dumps(values))
        code, errors, _ = command("denoise", image, "--overwrite", where=poor)
        assert code == 0
        told.append(errors)
    assert told == [
        [
            "note: the model is worse than its input: test PSNR 11.35 dB, the input's "
            "12.82 dB; train it longer, or with other settings"
        ],
        [],
    ]


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 17), (70, 9)])
def test_outputs_have_the_size_of_the_images(command, tmp_path, size):
    image = save(tmp_path / "any.png", digit(size=size))
    code, errors, out = command("denoise", image)
    assert (code, errors) == (0, [])
    assert arrays(out / "any.npz")["output"].shape == (*size, 1)
    assert np.asarray(Image.open(out / "any.png")).shape == size


@pytest.mark.parametrize("name", ["denoise", "reconstruct"])
def test_a_model_of_small_images_says_so_of_large_ones(command, tmp_path, name):
    """Once, and not of those that are about as large."""
    sizes = [(33, 34), (40, 60), (33, 32)]
    images = [save(tmp_path / f"{i}.png", digit(i, x)) for i, x in enumerate(sizes)]
    code, errors, _ = command(name, *images)
    assert code == 0
    assert errors == [
        f"note: {images[0]} is 34x33, and the model was trained on whole images of "
        "16x16 (glyphs): of what is not like those it may make something else"
    ]
    assert command(name, images[2], "--overwrite")[:2] == (0, [])


def test_kinds_of_image_are_read_right(run, command, tmp_path):
    pixels = digit()
    save(tmp_path / "in" / "deep.png", pixels.astype(np.uint16) * 257)
    save(tmp_path / "in" / "rgb.png", np.repeat(pixels[..., None], 3, axis=-1))
    Image.fromarray(pixels).convert("P").save(tmp_path / "in" / "palette.png")
    opaque = np.stack([pixels, np.full_like(pixels, 255)], axis=-1)
    Image.fromarray(opaque, "LA").save(tmp_path / "in" / "alpha.png")
    still = Image.fromarray(pixels)
    still.save(tmp_path / "in" / "moving.gif", save_all=True, append_images=[still])
    code, errors, out = command("denoise", tmp_path / "in")
    assert (code, errors) == (0, [])
    expected = own_output(run, pixels[None, ..., None] / np.float32(255))[0]
    for name in ("deep", "rgb", "palette", "alpha", "moving"):
        output = arrays(out / f"{name}.npz")["output"]
        np.testing.assert_allclose(output, expected, atol=1e-5, err_msg=name)


def test_broken_images_are_named_and_the_others_done(command, tmp_path):
    for name in "ace":
        save(tmp_path / "in" / f"{name}.png", digit())
    (tmp_path / "in" / "b.png").write_text("text")
    whole = (tmp_path / "in" / "a.png").read_bytes()
    (tmp_path / "in" / "d.png").write_bytes(whole[:80])
    for name, done in (("denoise", "{}.png"), ("encode", None)):
        code, errors, out = command(name, tmp_path / "in", out=name)
        assert code == 1
        assert [line.count("is not a readable image") for line in errors] == [1, 1]
        assert ["b.png" in errors[0], "d.png" in errors[1]] == [True, True]
        if done:
            assert {"a.png", "c.png", "e.png"} < {path.name for path in out.iterdir()}
        else:
            assert len(arrays(out / "codes.npz")["codes"]) == 3


def test_folders_that_cannot_be_read_are_named_and_the_others_done(
    command, tmp_path, monkeypatch
):
    for name in ("a", "locked/b", "locked/below/c", "open/d"):
        save(tmp_path / "in" / f"{name}.png", digit())
    locked, listed = tmp_path / "in" / "locked", Path.iterdir

    def iterdir(folder):
        if folder == locked:  # root may read any
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, errors, out = command("denoise", tmp_path / "in")
    assert (code, errors) == (1, [f"error: {locked}: Permission denied"])
    assert {path.name for path in out.glob("*.npz")} == {"a.npz", "d.npz"}
    code, errors, _ = command("denoise", locked)
    assert (code, errors) == (1, [f"error: {locked}: Permission denied"])
    # Where nobody is told, nothing is left out.
    with pytest.raises(PermissionError):
        list_pictures(tmp_path / "in")


def test_images_that_memory_is_too_small_for_are_named_and_the_others_done(capsys):
    full = RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
    errors = {"b": MemoryError(), "d": full}
    done = []

    def work(path, advance):
        if path.name in errors:
            raise errors[path.name]
        done.append(path.name)

    assert each([Path(name) for name in "abcde"], work) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line[:31] for line in lines if line.startswith("error: ")] == [
        "error: b: memory is exhausted (",
        "error: d: memory is exhausted (",
    ]
    assert done == ["a", "c", "e"]
    errors["b"] = ValueError("a fault of ours")
    with pytest.raises(ValueError, match="a fault of ours"):
        each([Path("b")], work)


def test_an_error_that_all_images_share_is_printed_once(command, tmp_path):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", digit())
    for flag, words in (("--tile=7", "--tile and"), ("--level=25", "not told one")):
        code, errors, _ = command("denoise", tmp_path / "in", flag, "--overwrite")
        assert code == 1
        assert words in errors[0]
        assert errors[1:] == ["error: the same for 2 more images"]


def test_names_that_are_no_text_are_escaped_and_folders_are_no_images(
    command, tmp_path
):
    image = save(tmp_path / "in" / "a.png", digit())
    image.with_name("b.png").mkdir()
    strange = image.with_name(os.fsdecode(b"caf\xe9.png"))
    try:
        strange.write_bytes(image.read_bytes())
    except OSError:
        pytest.skip("the file system takes only names that are text")
    code, errors, out = command("denoise", tmp_path / "in")
    assert (code, errors) == (0, [])
    assert {image.name, strange.name, "denoised.png"} < set(os.listdir(out))


def test_the_flag_for_the_run_s_data_is_named(run):
    moved = trained.load(run)
    moved.config.data.source, moved.config.data.dir = "idx", "nowhere"
    job = Job(moved, Path(), False, (), False, "test", 0, 8)
    line = r"idx: folder .*nowhere does not exist: give --data-dir=DIR,"
    with pytest.raises(CaejaxError, match=line):
        load_images(job)


def test_images_of_one_name_are_both_kept(command, tmp_path):
    first = save(tmp_path / "a" / "x.png", digit(0))
    second = save(tmp_path / "b" / "x.png", digit(1))
    third = save(tmp_path / "reconstructions.png", digit(2))
    code, _, out = command("reconstruct", first, second, third)
    names = {path.name for path in out.glob("*.npz")}
    assert code == 0
    assert names == {"x.npz", "x-2.npz", "reconstructions-2.npz"}
    outputs = [arrays(out / name)["output"] for name in ("x.npz", "x-2.npz")]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_nothing_is_written_over_unasked(command, tmp_path):
    image = save(tmp_path / "out" / "x.png", digit())
    before = image.read_bytes()
    code, errors, _ = command("denoise", image, "--overwrite")
    assert (code, len(errors)) == (1, 1)
    assert "would be written over; choose another --out" in errors[0]
    other = save(tmp_path / "x.png", digit(1))
    code, errors, _ = command("denoise", other)
    assert (code, len(errors)) == (1, 1)
    assert re.search(r"out/x\.png exists; .*--overwrite", errors[0])
    assert image.read_bytes() == before
    assert command("denoise", other, "--overwrite")[:2] == (0, [])
    assert image.read_bytes() != before


@pytest.mark.parametrize(("suffix", "other"), [("png", "tif"), ("tif", "png")])
def test_files_of_another_format_are_in_nobodys_way(suffix, other, tmp_path):
    job = Job(None, tmp_path, False, (), False, "test", 0, 8)
    image = save(tmp_path / f"x.{other}", digit())
    claim(job, "denoised", [image], ["x"], [suffix])
    save(tmp_path / f"x.{suffix}", digit())
    with pytest.raises(CaejaxError, match=rf"x\.{suffix} exists"):
        claim(job, "denoised", [image], ["x"], [suffix])


def test_an_image_that_is_named_twice_is_done_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", digit())
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "in" / "c.png").symlink_to("a.png")  # has a name of its own
    named = ["in/b.png", "in", "link/a.png", "in/../in/b.png", tmp_path / "in"]
    job = Job(None, Path(), False, list(map(Path, named)), False, "test", 0, 8)
    found = ["in/b.png", "in/a.png", "in/c.png"]
    assert find_images(job) == (list(map(Path, found)), 0)


@pytest.mark.parametrize("name", ["denoise", "encode", "reconstruct"])
def test_where_nothing_can_be_done_no_folder_is_left(command, tmp_path, name):
    broken = tmp_path / "x.png"
    broken.write_bytes(b"no image")
    for made in ("out", "made/for/it"):
        code, errors, _ = command(name, broken, out=made)
        assert (code, len(errors)) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_images_may_stand_behind_flags(command, tmp_path):
    images = [save(tmp_path / f"{i}.png", digit(i)) for i in range(2)]
    code, _, out = command("denoise", images[0], "--count=1", images[1])
    assert code == 0
    assert (out / "0.npz").exists()
    assert (out / "1.npz").exists()


@pytest.mark.parametrize("name", ["denoise", "reconstruct"])
def test_floats_are_left_out_where_asked(command, tmp_path, name):
    image = save(tmp_path / "x.png", digit())
    code, _, out = command(name, image, "--nofloats")
    assert code == 0
    assert {path.suffix for path in out.iterdir()} == {".png"}
    assert "x.png" in {path.name for path in out.iterdir()}
    code, errors, _ = command(name, "--nofloats")
    assert (code, len(errors)) == (1, 1)
    assert "--nofloats is for images of yours" in errors[0]


def test_images_of_any_name_may_stand_behind_two_dashes():
    words = ["denoise", "a.png", "--count=1", "b.png", "--", "-c.png", "--run=d"]
    assert apply.parse(words).images == ["a.png", "b.png", "-c.png", "--run=d"]


MISTAKES = {
    "an unknown command": (["remove"], "COMMAND is 'remove'; known: reconstruct"),
    "no run": (["encode", "--run=TMP/none"], "TMP/none holds no run"),
    "a sweep": (["encode", "--run=TMP/sweep"], "holds a sweep; name one of its runs"),
    "no checkpoint": (["encode", "--run=TMP/bare"], "holds no checkpoint"),
    "a summary alone": (["encode", "--run=TMP/done"], "holds no checkpoint"),
    "an unknown flag": (["encode", "--run=RUN", "--fast"], "'--fast' is not known"),
    "an image to sample": (["sample", "--run=RUN", "a.png"], "'a.png' is not known"),
    "no neighbours": (["neighbours", "--run=RUN", "--k=0"], "--k: '0' is not a whole"),
    "few neighbours": (["neighbours", "--run=RUN", "--k=12"], "only 11"),
    "no such query": (["neighbours", "--run=RUN", "--query=12", "--k=1"], "0 to 11"),
    "no such end": (["interpolate", "--run=RUN", "--between=0,12"], "0 to 11"),
    "three ends": (["interpolate", "--run=RUN", "--between=0,1,2"], "not a pair"),
    "one image": (["interpolate", "--run=RUN", "TMP/red.png"], "needs two different"),
    "the same twice": (
        ["interpolate", "--run=RUN", "TMP/red.png", "TMP/red.png"],
        "needs two different images",
    ),
    "a query beside images": (
        ["neighbours", "--run=RUN", "TMP/red.png", "--query=1"],
        "--query names images of the split",
    ),
    "ends beside images": (
        ["interpolate", "--run=RUN", "TMP/red.png", "TMP/blue.png", "--between=0,1"],
        "--between names images of the split",
    ),
    "unequal sizes": (
        ["interpolate", "--run=RUN", "TMP/red.png", "TMP/blue.png", "--convert"],
        r"9x9 and 5x9 \(height x width\)",
    ),
    "many components": (["sample", "--run=RUN", "--components=41"], "only 32 images"),
    "a missing image": (
        ["denoise", "--run=RUN", "TMP/no.png"],
        "no.png does not exist",
    ),
    "an empty folder": (["denoise", "--run=RUN", "TMP/empty"], "no image in TMP/empty"),
    "colour": (["denoise", "--run=RUN", "TMP/red.png"], "red.png is in colour.*--conv"),
    "tiles of the run's own": (
        ["denoise", "--run=RUN", "--tile=64"],
        "--tile is for images of yours; name some",
    ),
    "a format for the run's own": (
        ["denoise", "--run=RUN", "--format=tiff"],
        "--format is for images of yours; name some",
    ),
    "a split beside images": (
        ["denoise", "--run=RUN", "--split=test", "TMP/red.png"],
        "--split is for the run's own data; leave it or your images out",
    ),
    "a limit beside images": (
        ["encode", "--run=RUN", "TMP/red.png", "TMP/blue.png", "--limit=0"],
        "--limit is for the run's own data",
    ),
    "data beside images": (
        ["reconstruct", "--run=RUN", "TMP/red.png", "--data-dir=TMP"],
        "--data-dir is for the run's own data",
    ),
    "the run's own converted": (
        ["encode", "--run=RUN", "--convert"],
        "--convert is for images of yours; name some, or leave it out",
    ),
    "two sizes of tiles": (
        ["denoise", "--run=RUN", "TMP/red.png", "--tile=64", "--memory=9"],
        "--tile and --memory both say how large tiles are; leave one out",
    ),
    "no name of a folder": (["encode", "--run=RUN", "--out="], "--out is empty; name"),
    "no folder to write": (["encode", "--run=RUN", "--out=TMP/red.png"], "red.png"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_exit_code_1(name, run, tmp_path, capsys):
    words, expected = MISTAKES[name]
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (9, 9), "red").save(tmp_path / "red.png")
    Image.new("RGB", (9, 5), "blue").save(tmp_path / "blue.png")
    for kind in ("sweep", "bare", "done"):
        (tmp_path / kind).mkdir()
        config = tiny_config()
        if kind == "sweep":
            config.sweep = {"seed": {"field": "seed", "values": (0, 1)}}
        (tmp_path / kind / "config.json").write_text(to_json(config))
    (tmp_path / "done" / "summary.json").write_text("{}")
    words = [w.replace("TMP", str(tmp_path)).replace("RUN", str(run)) for w in words]
    out = [] if any("--out" in w for w in words) or len(words) == 1 else ["--out"]
    try:
        code = apply.main([*words, *out, *[str(tmp_path / "out")] * len(out)])
    except SystemExit as stop:
        code = stop.code
    lines = capsys.readouterr().err.splitlines()
    assert code == 1
    assert len(lines) == 1, lines
    assert re.search(f"^error: .*{expected.replace('TMP', str(tmp_path))}", lines[0])


@pytest.mark.parametrize(
    "lack", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no")]
)
def test_an_image_too_large_for_the_memory_leaves_the_others(lack, capsys):
    done = []

    def work(path, advance):
        if path.name == "huge":
            raise lack
        done.append(path.name)

    assert each([Path(name) for name in ("a", "huge", "b")], work) == 1
    assert done == ["a", "b"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: huge: memory is exhausted (")
    with pytest.raises(ZeroDivisionError):
        each([Path("a")], lambda path, advance: 1 / 0)
