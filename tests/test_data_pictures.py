"""Colours, transparency and pages of pictures, against Pillow and by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from caejax.data.pictures import read_image, read_picture
from caejax.inference import image_files


def in_memory(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def profile_of(name):
    """The profile of sRGB by another name."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made.replace(b"sRGB", name[:4])


@pytest.fixture
def linear(tmp_path):
    """A profile of linear light in grey, built by hand (ICC.1:2010)."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (256).to_bytes(2, "big")
    white = (
        b"XYZ "
        + bytes(4)
        + b"".join(round(x * 65536).to_bytes(4, "big") for x in (0.9642, 1.0, 0.8249))
    )
    text = b"linear"
    about = b"desc" + bytes(4) + (len(text) + 1).to_bytes(4, "big") + text + bytes(80)
    tags, body, table = [(b"kTRC", curve), (b"wtpt", white), (b"desc", about)], b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags:
        value += bytes(-len(value) % 4)
        place, size = start + len(body), len(value)
        table += name + place.to_bytes(4, "big") + size.to_bytes(4, "big")
        body += value
    size = start + len(body)
    head = size.to_bytes(4, "big") + b"lcms" + bytes.fromhex("02400000")
    head += b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    head += white[8:] + bytes(128 - len(head) - 12)
    return head + len(tags).to_bytes(4, "big") + table + body


def test_colours_are_converted_to_srgb(linear):
    grey = Image.fromarray(np.full((2, 2), 55, np.uint8))
    plain = read_image(in_memory(grey), 1, name="a")
    converted = read_image(in_memory(grey, icc_profile=linear), 1, name="a")
    x = 55 / 255
    expected = 1.055 * x ** (1 / 2.4) - 0.055  # sRGB's own curve, IEC 61966-2-1
    np.testing.assert_allclose(plain, x, atol=1e-6)
    np.testing.assert_allclose(converted, expected, atol=2 / 255)
    kept = read_picture(
        in_memory(grey, icc_profile=linear), name="a", keep_profile=True
    )
    np.testing.assert_allclose(kept.values, x, atol=1e-6)
    assert kept.profile == linear


def test_the_srgb_profile_changes_nothing():
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    read = read_picture(in_memory(Image.fromarray(pixels), icc_profile=own), name="a")
    np.testing.assert_allclose(read.values, pixels / 255, atol=1e-6)
    assert read.notes == ()


@pytest.mark.parametrize("profile", [b"no profile", bytes(200)])
@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
def test_damaged_profiles_are_said(profile, mode):
    image = Image.new(mode, (2, 2))
    read = read_picture(in_memory(image, icc_profile=profile), name="a")
    assert read.notes == ("a colour profile cannot be applied and is taken for sRGB",)


def test_alpha_survives_the_conversion(linear):
    image = Image.new("LA", (1, 2), (55, 255))
    image.putpixel((0, 1), (55, 0))
    values = read_picture(in_memory(image, icc_profile=linear), name="a").values
    assert values[0, 0, 0] == pytest.approx(0.5, abs=0.03)
    assert values[1, 0, 0] == 1


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_transparent_value_survives_the_conversion(linear, mode):
    own = linear if mode == "L" else profile_of(b"CIE RGB")
    image = Image.new("L", (2, 1), 55)
    image.putpixel((1, 0), 90)
    file = in_memory(image.convert(mode), icc_profile=own, transparency=55)
    values = read_picture(file, name="a").values
    assert (values[0, 0] == 1).all()
    assert (values[0, 1] < 1).all()


def test_profiles_are_known_by_what_they_do_and_not_by_name(linear):
    named = linear.replace(b"linear", b"asRGB!")
    grey = in_memory(Image.new("L", (2, 2), 55), icc_profile=named)
    assert read_image(grey, 1, name="a").min() > 0.45


def test_greys_of_16_bits_are_converted_without_loss(linear):
    stored = np.arange(20000, 20064, dtype=np.uint16).reshape(8, 8)
    file = in_memory(Image.fromarray(stored), icc_profile=linear)
    values = read_picture(file, name="a").values
    assert values.shape == (8, 8, 1)
    assert len(np.unique(values)) == 64
    expected = 1.055 * (stored / 65535) ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(values[..., 0], expected, atol=2 / 255)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_profiles_of_another_kind_of_picture_are_not_kept(linear, mode):
    space = b"CMYK" if mode == "L" else b"GRAY"
    strange = linear[:16] + space + linear[20:]
    file = in_memory(Image.new(mode, (2, 2), 0), icc_profile=strange)
    assert read_picture(file, name="a", keep_profile=True).profile is None


def test_pictures_that_memory_is_too_small_for_are_not_called_broken(monkeypatch):
    def load(image):
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(MemoryError):
        read_picture(in_memory(Image.new("L", (3, 2))), name="a")


def test_values_of_12_bits_in_16_are_told():
    """Of floats and of a black picture there is nothing to tell."""
    for most, told in ((4095, True), (4096, False), (0, False)):
        greys = Image.fromarray(np.full((4, 4), most, np.uint16))
        read = read_picture(in_memory(greys), name="x")
        assert any("values of 12 bits" in x for x in read.notes) == told
    floats = Image.fromarray(np.full((4, 4), 0.01, np.float32))
    assert not read_picture(in_memory(floats, "tiff"), name="x").notes


def test_transparent_grey_of_16_bits_is_white():
    image = Image.fromarray(np.array([[1000, 30000]], np.uint16))
    values = read_image(in_memory(image, transparency=1000), 1, name="a")
    np.testing.assert_allclose(values[0, :, 0], [1, 30000 / 65535], rtol=1e-6)


def png(pixels, bits, kind, clear):
    """A PNG file of a row of pixels with a transparent colour, by the format's words.

    Args:
      pixels: the row's bytes.
      bits: bits a channel.
      kind: 0 of grey, 2 of colours.
      clear: the colour.
    """
    width = 8 * len(pixels) // bits // (1 + kind)
    bodies = {
        b"IHDR": struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0),
        b"tRNS": struct.pack(f">{len(clear)}H", *clear),
        b"IDAT": zlib.compress(b"\0" + pixels),
        b"IEND": b"",
    }
    stored = b"\x89PNG\r\n\x1a\n"
    for name, body in bodies.items():
        check = struct.pack(">I", zlib.crc32(name + body))
        stored += struct.pack(">I", len(body)) + name + body + check
    return io.BytesIO(stored)


@pytest.mark.parametrize("full_depth", [False, True])
@pytest.mark.parametrize("clear", [(256, 256, 256), (0, 0, 0), (40000, 0, 7)])
def test_a_transparent_colour_of_16_bits_is_white_and_others_stay(clear, full_depth):
    """None of the others, which are like it in one of their bytes, is taken for it."""
    row = np.array([clear, (0, 5, 7), (1, 1, 1), (40000, 1, 7), (256, 0, 256)], ">u2")
    file = png(row.tobytes(), 16, 2, clear)
    read = read_picture(file, name="a", full_depth=full_depth)
    expected = row / 65535
    expected[0] = 1
    np.testing.assert_allclose(read.values[0], expected, atol=1e-6)
    assert not any("transparent" in note for note in read.notes)


@pytest.mark.parametrize(("bits", "row"), [(2, 0b00011011), (4, 0x1A)])
def test_a_transparent_grey_of_few_bits_is_white(bits, row):
    most = 2**bits - 1
    levels = [row >> shift & most for shift in range(8 - bits, -1, -bits)]
    file = png(bytes([row]), bits, 0, (levels[1],))
    expected = [1 if x == levels[1] else x / most for x in levels]
    values = read_image(file, 1, name="a")
    np.testing.assert_allclose(values[0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["gif", "tiff", "webp", "png"])
def test_of_several_pages_the_first_is_read(kind):
    pages = [Image.new("L", (3, 3), value).convert("RGB") for value in (0, 255)]
    file = in_memory(pages[0], kind, save_all=True, append_images=pages[1:])
    read = read_picture(file, name="a")
    assert read.notes == ("the first page or frame alone is read",)
    assert read.values.max() < 0.1


def test_denoised_pictures_keep_their_profile(linear, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((2, 2), 55, np.uint8)).save(path, icc_profile=linear)
    picture = image_files.read(path, 1, convert=False)
    image_files.write(tmp_path / "b.png", picture.values, picture)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == linear
        np.testing.assert_array_equal(np.asarray(written), 55)
    converted = image_files.read(path, 3, convert=True)
    assert converted.profile is None
    assert converted.values.min() > 0.4


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"imagej": True}, None),
        ({"ome": True, "metadata": {"axes": "CYX"}}, None),
        ({}, None),
        ({"description": "{two} OME", "metadata": None}, "{two} OME"),
    ],
)
def test_descriptions_of_pages_are_not_handed_on(options, kept, tmp_path):
    pages = np.random.default_rng(0).integers(0, 65536, (3, 9, 7), np.uint16)
    path, made = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(path, pages, photometric="minisblack", **options)
    with tifffile.TiffFile(path) as given:
        assert given.pages[0].description
    picture = image_files.read(path, 1, convert=False)
    image_files.write(made, picture.values, picture)
    np.testing.assert_array_equal(tifffile.imread(made), pages[0])
    with Image.open(made) as written:
        assert written.getexif().get(270) == kept


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_tiffs_are_turned_from_a_path_as_from_a_file(mode, orientation, tmp_path):
    """Pillow reads those that are not compressed from memory where it has a path."""
    exif = Image.Exif()
    exif[274] = orientation
    shape = (4, 6, len(mode)) if mode.startswith("RGB") else (4, 6)
    kind, most = (np.uint16, 65535) if mode == "I;16" else (np.uint8, 255)
    pixels = np.random.default_rng(0).integers(0, most, shape).astype(kind)
    if mode == "RGBA":
        pixels[..., 3] = 255
    path = tmp_path / "turned.tif"
    Image.fromarray(pixels).save(path, exif=exif)
    turned = np.rot90(pixels, {3: 2, 6: -1, 8: 1}[orientation])
    turned = turned[..., :3] if turned.ndim == 3 else turned[..., None]
    for file in (path, io.BytesIO(path.read_bytes())):
        read = read_picture(file, name="a", full_depth=True)
        np.testing.assert_allclose(read.values, turned / most, atol=1e-6)


def exif_of(*entries):
    """EXIF data of (tag, type, count, value), by the format's own words."""
    stored = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for *about, value in entries:
        stored += struct.pack("<HHI", *about) + value.ljust(4, b"\0")
    return stored + bytes(4)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0no data",
        b"Exif\0\0II*\0",
        exif_of((274, 4, 1, b"\xff\xff\xff\xff")),  # an orientation beyond 16 bits
        exif_of((282, 2, 4, b"300")),  # a resolution in letters
        exif_of((0x8769, 4, 1, b"\xff\xff\xff\x7f")),  # details that are not there
    ],
)
def test_pictures_with_damaged_exif_are_read(exif):
    """Pillow reads some of these, and cannot write them again."""
    read = read_picture(in_memory(Image.new("L", (3, 2)), exif=exif), name="a")
    assert read.values.shape == (2, 3, 1)
    assert read.exif is None


def test_of_damaged_exif_the_rest_is_kept():
    letters = 282, 2, 4, b"300"
    stored = exif_of((271, 2, 3, b"Me"), (274, 3, 1, b"\6"), letters)
    read = read_picture(in_memory(Image.new("L", (3, 2)), exif=stored), name="a")
    kept = Image.Exif()
    kept.load(read.exif)
    assert read.values.shape == (3, 2, 1)  # turned
    assert dict(kept) == {271: "Me"}


@pytest.mark.parametrize("most", [255, 1023, 65535])
def test_of_ppm_with_more_than_8_bits_it_is_said(most):
    kind = ">u2" if most > 255 else "u1"
    head = f"P6 3 2 {most}\n".encode()
    file = io.BytesIO(head + np.full((2, 3, 3), most // 2).astype(kind).tobytes())
    read = read_picture(file, name="a", full_depth=True)
    np.testing.assert_allclose(read.values, 0.5, atol=1 / 255)
    assert read.notes == (("8 of 16 bits are read",) if most > 255 else ())


def test_of_sgi_with_16_bits_it_is_said():
    file = in_memory(Image.new("RGB", (3, 2)), "sgi", bpc=2)
    read = read_picture(file, name="a", full_depth=True)
    assert read.notes == ("8 of 16 bits are read",)


def with_bits(stored, kind, bits):
    """A file of 8 bits a channel, whose header says that it has more."""
    stored = bytearray(stored)
    if kind == "jpeg2000":
        first = stored.index(b"\xff\x4f\xff\x51") + 42
        stored[first : first + 9 : 3] = [bits - 1] * 3
    else:
        stored[stored.index(b"av1C") + 6] |= {8: 0, 10: 0x40, 12: 0x60}[bits]
        first = stored.index(b"pixi") + 9
        stored[first : first + 3] = [bits] * 3
    return io.BytesIO(bytes(stored))


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("jpeg2000", 8), ("jpeg2000", 12), ("jpeg2000", 16), ("avif", 8), ("avif", 10)],
)
def test_of_compressed_colours_with_more_than_8_bits_it_is_said(kind, bits):
    stored = in_memory(Image.new("RGB", (16, 16), (9, 99, 199)), kind).getvalue()
    read = read_picture(with_bits(stored, kind, bits), name="a", full_depth=True)
    assert read.values.shape == (16, 16, 3)
    assert read.notes == ((f"8 of {bits} bits are read",) if bits > 8 else ())


def test_greys_of_jpeg_2000_have_all_16_bits():
    greys = np.arange(20000, 20256, dtype=np.uint16).reshape(16, 16)
    file = in_memory(Image.fromarray(greys), "jpeg2000")
    read = read_picture(file, name="a", full_depth=True)
    np.testing.assert_allclose(read.values[..., 0], greys / 65535, atol=1e-6)
    assert read.notes == ()


def test_pixels_of_16_bits_are_no_channels_of_16():
    """A BMP file with 5, 6 and 5 bits for a pixel's colours."""
    head = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    head += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    body = struct.pack("<HH", 0xF800, 0x001F)
    start = 14 + len(head)
    stored = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + body
    read = read_picture(io.BytesIO(stored), name="a", full_depth=True)
    np.testing.assert_allclose(read.values[0], [[1, 0, 0], [0, 0, 1]])
    assert read.notes == ()
