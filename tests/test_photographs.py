"""Photographs denoised: tiles, depth, what files carry, and the models that ship."""

import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from helpers.random_models import random_model
from PIL import Image, ImageCms

import caejax
from caejax import apply, weights
from caejax.data import pictures
from caejax.errors import CaejaxError
from caejax.export import export
from caejax.inference import any_size, image_files, photographs, trained

UNET = {"downsampling": "stride_k4", "skips": "add", "residual": True}
UNET |= {"refine": (1, 0), "encoder_refine": (1, 0), "output_activation": "linear"}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder with weights of both kinds, as if they shipped."""
    folder = tmp_path_factory.mktemp("weights")
    for channels, name in weights.DENOISERS.items():
        model = random_model(channels=channels, crop=16, **UNET)
        export(model, "safetensors", folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def denoise(shipped, tmp_path, capsys, monkeypatch):
    """Denoises files with what ships; returns the exit code, errors and the folder."""
    monkeypatch.setattr(weights, "place", lambda name: shipped / f"{name}.safetensors")

    def call(*words):
        out = tmp_path / "out"
        code = apply.main(
            ["denoise", f"--out={out}", "--nocache", "--overwrite", *map(str, words)]
        )
        return code, capsys.readouterr().err.splitlines(), out

    return call


def photograph(*size, most=255, kind=np.uint8):
    rng = np.random.default_rng(0)
    return rng.integers(most // 3, most * 2 // 3, size).astype(kind)


def output_of(out, name):
    with np.load(out / f"{name}.npz") as file:
        return file["output"]


def test_tiles_are_as_the_whole():
    model = random_model(crop=16, **UNET)
    image = np.float32(photograph(230, 201, 1) / 255)
    run = trained.reconstruct(model)
    whole = any_size.apply(run, model, image)
    np.testing.assert_allclose(whole, run(image[None])[0], atol=1e-6)
    least = 4 * -(-model.model.reach // 4) * 4 + 4
    tiles = any_size.apply(run, model, image, tile=least)
    ((rows, columns),) = any_size.plan(model, image.shape[:2], least)
    assert (rows.count, columns.count) == (3, 3)
    np.testing.assert_allclose(tiles, whole, atol=1e-5)
    with pytest.raises(CaejaxError, match=f"pixels to each side; give --tile={least}"):
        any_size.apply(run, model, image, tile=least - 4)
    with pytest.raises(CaejaxError, match="tiles of its own"):
        any_size.plan(random_model(**UNET), (300, 300), least)


def test_where_memory_is_too_small_for_a_tile_more_is_asked_for():
    model = random_model(crop=16, **UNET)
    assert any_size.tile_of(model, 1e-3) == model.model.stride
    how = photographs.How(memory=1e-3)
    with pytest.raises(CaejaxError, match=r"too small for this model.*larger --memory"):
        photographs.run(model, np.zeros((300, 300, 1), np.float32), how)
    # It is enough for what is no larger than one.
    image = np.float32(photograph(3, 4, 1) / 255)
    whole = photographs.run(model, image, photographs.How())
    np.testing.assert_array_equal(photographs.run(model, image, how), whole)


def test_tiles_at_once_need_no_more_memory_than_was_given():
    model = random_model(crop=16, **UNET)
    image = np.zeros((300, 700, 1), np.float32)
    for memory in (2, 4, 1024):
        seen, tile = [], any_size.tile_of(model, memory)

        def run(tiles, seen=seen):
            seen.append(tiles.shape[:3])
            return tiles

        any_size.apply(run, model, image, tile=tile)
        assert all(np.prod(shape) <= tile**2 for shape in seen)
        assert (len(seen) > 1) == (memory < 1024)


def test_the_reach_is_not_too_small():
    """What lies further off changes nothing, to the last bit but rounding."""
    for fields in (UNET, {"downsampling": "blur_pool", "upsampling": "bicubic_k3"}):
        model = random_model(crop=16, **fields)
        reach, run = model.model.reach, trained.reconstruct(model)
        image = np.full((1, 2 * reach + 9, 9, 1), 0.5, np.float32)
        other = image.copy()
        other[:, 0] = 0.7
        changed = np.abs(run(image) - run(other))[0].max(axis=(1, 2))
        assert changed[0] > 1e-5
        assert changed[reach + 1 :].max() < 1e-6


def test_an_ensemble_turns_with_the_image():
    model = random_model(crop=16, **UNET)
    image = np.float32(photograph(20, 28, 1) / 255)
    how = photographs.How(ensemble=True)
    made = photographs.run(model, image, how)
    turned = photographs.run(model, np.rot90(image), how)
    np.testing.assert_allclose(np.rot90(made), turned, atol=1e-5)
    alone = photographs.run(model, image, photographs.How())
    assert np.abs(made - alone).max() > 1e-3


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_sixteen_bits_are_kept(suffix, channels, denoise, tmp_path):
    size = (20, 24) if channels == 1 else (20, 24, 3)
    pixels, path = photograph(*size, most=65535, kind=np.uint16), tmp_path / "in.tif"
    tifffile.imwrite(path, pixels)
    kind = "tiff" if suffix == "tif" else "png"
    code, errors, out = denoise(path, f"--format={kind}")
    assert (code, errors) == (0, [])
    wanted = np.rint(output_of(out, "in") * 65535).reshape(size)
    made = (tifffile.imread if suffix == "tif" else png16)(out / f"in.{suffix}")
    assert made.dtype == np.uint16
    np.testing.assert_allclose(made, wanted, atol=0.51)
    assert len(np.unique(made % 256)) > 100
    model = caejax.load(weights.place(weights.DENOISERS[channels]))
    own = model.denoise(pixels)
    np.testing.assert_allclose(output_of(out, "in").reshape(size), own, atol=1e-6)


def png16(path):
    """A PNG of 16 bits whose filters are all 2, by the format's own words."""
    stored = path.read_bytes()
    width, height = (int.from_bytes(stored[i : i + 4], "big") for i in (16, 20))
    assert stored[24] == 16
    channels = {0: 1, 2: 3}[stored[25]]
    begin = stored.index(b"IDAT") + 4
    rows = zlib.decompress(stored[begin:])
    rows = np.frombuffer(rows, np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    values = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return values.view(">u2").reshape(shape).astype(np.uint16)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("given", ["jpg", "tif"])
def test_exif_and_profile_are_kept(suffix, given, denoise, tmp_path):
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6  # turned by a quarter
    owner = "© Müller".encode()
    exif[33432] = owner
    comment = "für".encode("utf-16le")
    exif[18246], exif[40092], exif[316] = 4, comment, "Host"
    exif[0x8769], exif[0x8825] = {33437: 2.8}, {1: "N"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"in.{given}"
    picture = Image.fromarray(photograph(20, 24, 3))
    picture.save(path, exif=exif.tobytes(), icc_profile=profile)
    # Pillow takes bytes for Latin letters, and writes none but those of ASCII.
    path.write_bytes(path.read_bytes().replace(b"?? M??ller", owner))
    code, errors, out = denoise(path, f"--format={suffix}")
    assert (code, errors) == (0, [])
    with Image.open(out / f"in.{suffix[:3]}") as made:
        made.load()
        assert made.size == (20, 24)
        assert made.info["icc_profile"] == profile
        kept = made.getexif()
        assert kept[271] == "Maker"
        assert kept[33432].encode("latin-1") == owner
        assert (kept[18246], kept[40092], kept[316]) == (4, comment, "Host")
        assert kept.get_ifd(0x8825)[1] == "N"
        assert kept.get(274, 1) == 1
        assert float(kept.get_ifd(0x8769)[33437]) == pytest.approx(2.8)


def test_files_of_every_kind_among_broken_ones(denoise, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    colour = Image.fromarray(photograph(18, 21, 3))
    colour.save(folder / "colour.png")
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    colour.convert("P").save(folder / "palette.png")
    clear = np.dstack([photograph(18, 21, 3), photograph(18, 21)])
    Image.fromarray(clear).save(folder / "clear.png")
    Image.fromarray(photograph(1, 1)).save(folder / "tiny.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "cut.png").write_bytes((folder / "colour.png").read_bytes()[:300])
    code, errors, out = denoise(folder)
    assert code == 1
    assert len(errors) == 2
    assert all("broken.png" in line or "cut.png" in line for line in errors)
    names = {path.stem for path in out.glob("*.png")}
    assert names == {"colour", "cmyk", "palette", "clear", "tiny", "denoised"}
    with Image.open(out / "tiny.png") as tiny:
        assert (tiny.size, tiny.mode) == ((1, 1), "L")


def test_a_jpeg_file_becomes_a_png_file_of_its_name(denoise, tmp_path):
    """Whatever it came as, nothing of it is lost again; and the help says so."""
    Image.fromarray(photograph(18, 21)).save(tmp_path / "n0.jpg")
    Image.fromarray(photograph(18, 21)).save(tmp_path / "n0.png")
    _, _, out = denoise(tmp_path / "n0.jpg", tmp_path / "n0.png")
    names = {path.name for path in out.iterdir()}
    assert names == {"n0.png", "n0.npz", "n0-2.png", "n0-2.npz", "denoised.png"}
    with Image.open(out / "n0.png") as image:
        assert (image.format, image.size) == ("PNG", (21, 18))


def help_of_denoise(capsys):
    with pytest.raises(SystemExit):
        apply.main(["denoise", "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_without_weights_there_is_one_line(denoise, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "place", lambda name: tmp_path / name)
    for name in ("in.png", "more.png"):
        Image.fromarray(photograph(18, 21)).save(tmp_path / name)
    code, errors, _ = denoise(tmp_path)
    assert code == 1
    assert len(errors) == 1
    assert "--run is missing: this version of caejax ships no model;" in errors[0]
    with pytest.raises(CaejaxError, match="this version of caejax ships no model"):
        caejax.load("denoiser_color")
    with pytest.raises(CaejaxError, match=r"or a safetensors file of caejax export$"):
        caejax.load("denoiser_colour")
    code, errors, _ = denoise()
    assert code == 1
    assert "name your images" in errors[0]
    told = help_of_denoise(capsys)
    assert "needs --run, as this version of caejax ships no model." in told
    assert "without it" not in told


@pytest.mark.parametrize("there", [1, 3])
def test_with_one_model_it_takes_its_kind(
    there, denoise, shipped, tmp_path, monkeypatch, capsys
):
    name = weights.DENOISERS[there]
    file = shipped / f"{name}.safetensors"
    place = {name: file}.get
    monkeypatch.setattr(weights, "place", lambda x: place(x, tmp_path / "none"))
    for channels in weights.DENOISERS:
        size = (18, 21, channels)[: 2 + channels // 3]
        Image.fromarray(photograph(*size)).save(tmp_path / f"of{channels}.png")
    files = [tmp_path / f"of{channels}.png" for channels in weights.DENOISERS]
    code, errors, out = denoise(*files)
    kinds = weights.KINDS[there], weights.KINDS[4 - there]
    assert code == 1
    assert errors == [
        f"error: {tmp_path / f'of{4 - there}.png'} is a {kinds[1]} image, and this "
        f"version of caejax ships {name} for {kinds[0]} images alone; name a run, "
        f"--run=DIR, or make it a {kinds[0]} one for {name}, --convert"
    ]
    assert {path.stem for path in out.glob("*.png")} == {f"of{there}", "denoised"}
    code, errors, out = denoise("--convert", *files)
    assert (code, errors) == (0, [])
    assert output_of(out, f"of{4 - there}").shape == (18, 21, there)
    told = help_of_denoise(capsys)
    assert f"caejax ships {name} for {kinds[0]} images. Others need" in told
    with pytest.raises(CaejaxError, match=rf"caejax export or {name}$"):
        caejax.load("nowhere")
    with pytest.raises(CaejaxError, match=f"caejax ships {name} for"):
        caejax.load(weights.DENOISERS[4 - there])


def test_with_both_models_help_names_both(denoise, capsys):
    told = help_of_denoise(capsys)
    gray, colour = "denoiser_gray for grey images", "denoiser_color for colour images."
    assert f"this version of caejax ships {gray} and {colour}" in told
    assert "Others need" not in told


def test_which_model_was_chosen_for_an_image_is_told(denoise, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(photographs, "tell", told.append)
    for name, size in (("a", (9, 7)), ("b", (9, 7, 3))):
        Image.fromarray(photograph(*size)).save(tmp_path / f"{name}.png")
    denoise(tmp_path / "a.png", tmp_path / "b.png")
    assert [x.split(", by ")[1:] for x in told] == [
        ["denoiser_gray"],
        ["denoiser_color"],
    ]
    denoise("--run=denoiser_gray", tmp_path / "a.png")  # as was asked for
    assert told[2].endswith("a.png")


def test_shipped_models_are_loaded_by_name(denoise):
    model = caejax.load("denoiser_gray")
    assert model.denoise(photograph(9, 7)).shape == (9, 7)
    assert model.source == "denoiser_gray"


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_of_sixteen_bits_are_read(compression, byteorder, tmp_path):
    pixels = photograph(20, 24, 3, most=65535, kind=np.uint16)
    tifffile.imwrite(
        tmp_path / "in.tif",
        pixels.transpose(2, 0, 1),
        photometric="rgb",
        planarconfig="separate",
        compression=compression,
        byteorder=byteorder,
    )
    read = pictures.read_picture(tmp_path / "in.tif", name="in", keep_profile=True)
    if compression is None:
        np.testing.assert_allclose(read.values, pixels / 65535, atol=1e-6)
        assert read.notes == ()
    else:
        np.testing.assert_allclose(read.values, pixels // 256 / 255, atol=1e-6)
        assert "8 of 16 bits" in read.notes[0]


def deep_png(path, pixels):
    """Writes a PNG of (H, W, 2 or 4) uint16 with alpha, by the format's own words."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (1, 0)))  # no filter
    head = struct.pack(">IIBBBBB", width, height, 16, channels + 2, 0, 0, 0)
    stored = b"\x89PNG\r\n\x1a\n"
    bodies = {b"IHDR": head, b"IDAT": zlib.compress(rows.tobytes()), b"IEND": b""}
    for name, body in bodies.items():
        check = struct.pack(">I", zlib.crc32(name + body))
        stored += struct.pack(">I", len(body)) + name + body + check
    path.write_bytes(stored)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_laid_over_white(channels, tmp_path):
    pixels = photograph(20, 24, channels + 1, most=65535, kind=np.uint16)
    deep_png(tmp_path / "in.png", pixels)
    colours, alpha = np.split(pixels / 65535, [channels], axis=-1)
    made = image_files.read(tmp_path / "in.png", channels, convert=False)
    np.testing.assert_allclose(made.values, colours * alpha + 1 - alpha, atol=1e-6)
    assert (made.depth, made.notes) == (16, ())


def test_sixteen_bits_are_converted_with_all_of_them(tmp_path):
    pixels = photograph(20, 24, 3, most=65535, kind=np.uint16)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "in.tif"
    for values in (pixels, np.repeat(pixels[..., :1], 3, axis=-1)):
        tifffile.imwrite(path, values, photometric="rgb", iccprofile=own)
        made = image_files.read(path, 1, convert=values is pixels)
        luma = values / 65535 @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(made.values[..., 0], luma, atol=1e-6)
        assert (made.depth, made.notes, made.profile) == (16, (), None)
    # A profile that changes something is applied to 8 of them.
    other = own.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ")
    other = other.replace(b"tXYZ", b"gXYZ")
    tifffile.imwrite(path, pixels, photometric="rgb", iccprofile=other)
    made = image_files.read(path, 1, convert=True)
    assert (made.depth, made.notes) == (8, ("8 of 16 bits are read",))


@pytest.mark.parametrize(
    ("kind", "deep"), [("unspecified", True), ("assocalpha", False)]
)
def test_of_sixteen_bits_it_is_said_if_there_are_eight(kind, deep, tmp_path):
    pixels = photograph(20, 24, 4, most=65535, kind=np.uint16)
    pixels[..., 3] = 65535
    tifffile.imwrite(
        tmp_path / "in.tif", pixels, photometric="rgb", extrasamples=[kind]
    )
    made = image_files.read(tmp_path / "in.tif", 3, convert=False)
    exact = 1e-6 if deep else 1 / 255
    np.testing.assert_allclose(made.values, pixels[..., :3] / 65535, atol=exact)
    assert made.depth == (16 if deep else 8)
    assert made.notes == (() if deep else ("8 of 16 bits are read",))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_of_tiff_zero_may_be_white(kind, tmp_path):
    most = np.iinfo(kind).max
    pixels = photograph(20, 24, most=most, kind=kind)
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="miniswhite")
    made = image_files.read(tmp_path / "in.tif", 1, convert=False)
    np.testing.assert_allclose(made.values[..., 0], 1 - pixels / most, atol=1e-6)


def test_floats_may_lie_beyond_by_their_noise(denoise, tmp_path):
    pixels = photograph(18, 21) / np.float32(255)
    noisy = pixels + np.float32(np.random.default_rng(1).normal(0, 0.4, pixels.shape))
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, noisy)
    code, errors, out = denoise(path)
    assert (code, errors) == (0, [])
    own = caejax.load("denoiser_gray").denoise(noisy)
    np.testing.assert_allclose(output_of(out, "in")[..., 0], own, atol=1e-6)
    with pytest.raises(
        CaejaxError, match=r"in\.tif have values from .* lie in \[0, 1\];"
    ):
        image_files.read(path, 1, convert=False)
    wrong = {"divide by 255": 255 * pixels, "NaN or infinite": pixels + np.nan}
    for words, values in wrong.items():
        tifffile.imwrite(path, np.float32(values))
        code, errors, _ = denoise(path)
        assert (code, len(errors)) == (1, 1)
        assert words in errors[0]


def test_what_is_not_read_is_told_from_what_is_broken(denoise, tmp_path):
    pixels = photograph(18, 21, 3) / np.float32(255)
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="rgb")
    clear = photograph(18, 21, 2, most=65535, kind=np.uint16)
    kinds = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "clear.tif", clear, **kinds)
    os.mkfifo(tmp_path / "pipe.png")
    files = ("in.tif", "clear.tif", "pipe.png")
    code, errors, _ = denoise(*(tmp_path / name for name in files))
    assert code == 1
    assert len(errors) == 3
    assert "pipe.png is no ordinary file" in errors[0]
    # It has 16 bits a channel, so that these alone are no cure.
    words = "a TIFF file of a kind that is not read: save it as PNG with 8 or 16 bits"
    assert all(words in line for line in errors[1:])


def test_a_name_that_is_almost_one_that_ships_is_told(denoise, tmp_path):
    Image.fromarray(photograph(18, 21)).save(tmp_path / "in.png")
    code, errors, _ = denoise("--run=denoiser_grey", tmp_path / "in.png")
    assert (code, len(errors)) == (1, 1)
    assert "'denoiser_grey' is no model" in errors[0]
    assert "(did you mean 'denoiser_gray'?)" in errors[0]
    with pytest.raises(CaejaxError, match=r"\(did you mean 'denoiser_color'\?\)"):
        caejax.load("denoiser_colour")


def test_a_folder_that_cannot_be_written_to_is_told_at_once(
    denoise, tmp_path, monkeypatch
):
    Image.fromarray(photograph(18, 21)).save(tmp_path / "in.png")
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "out")
    code, errors, out = denoise(tmp_path / "in.png")
    assert code == 1
    assert errors == [f"error: {out} cannot be written to; choose another --out"]
