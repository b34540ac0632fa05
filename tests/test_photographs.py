"""Photographs denoised: tiles, depth, what files carry, and the models that ship."""

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
from caejax.inference import any_size, photographs, trained

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
    assert len(any_size.plan(model, image.shape[:2], least)) == 1
    inside = slice(None, -least // 4)
    np.testing.assert_allclose(tiles[inside, inside], whole[inside, inside], atol=1e-5)
    with pytest.raises(CaejaxError, match=f"give --tile={least} or more"):
        any_size.apply(run, model, image, tile=least - 4)
    with pytest.raises(CaejaxError, match="tiles of its own"):
        any_size.plan(random_model(**UNET), (300, 300), least)


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
def test_exif_and_profile_are_kept(suffix, denoise, tmp_path):
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6  # turned by a quarter
    exif.get_ifd(0x8769)[33437] = 2.8
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "in.jpg"
    picture = Image.fromarray(photograph(20, 24, 3))
    picture.save(path, exif=exif, icc_profile=profile)
    code, errors, out = denoise(path, f"--format={suffix}")
    assert (code, errors) == (0, [])
    with Image.open(out / f"in.{suffix[:3]}") as made:
        made.load()
        assert made.size == (20, 24)
        assert made.info["icc_profile"] == profile
        kept = made.getexif()
        assert kept[271] == "Maker"
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


def test_weights_that_are_not_there_are_one_line(denoise, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "place", lambda name: tmp_path / name)
    for name in ("in.png", "more.png"):
        Image.fromarray(photograph(18, 21)).save(tmp_path / name)
    code, errors, _ = denoise(tmp_path)
    assert code == 1
    assert len(errors) == 1
    assert "--run is missing: this version of caejax ships no weights" in errors[0]
    with pytest.raises(CaejaxError, match="not in this version"):
        caejax.load("denoiser_color")
    code, errors, _ = denoise()
    assert code == 1
    assert "name your images" in errors[0]


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
