"""Whole photographs of BSDS500, parted as the literature on denoising does.

Arbelaez et al., "Contour detection and hierarchical image segmentation", 2011; for
non-commercial research. CBSD68, the 68 images that denoisers are compared on (Roth &
Black, 2009), are among the validation images.
"""

from pathlib import Path

import numpy as np

from caejax.data.dataset import Part
from caejax.data.origin import hash_of
from caejax.data.pictures import in_channels, read_picture
from caejax.errors import CaejaxError
from caejax.files.paths import expand

CBSD68 = tuple(
    """
    3096 12084 14037 16077 19021 21077 24077 33039 101085 101087 102061 103070 105025
    106024 108005 108070 108082 109053 119082 123074 126007 130026 134035 143090 145086
    147091 148026 148089 157055 159008 160068 163085 167062 167083 170057 175032 175043
    182053 189080 196073 197017 208001 210088 216081 219090 220075 223061 227092 229036
    236037 241004 241048 253027 253055 260058 271035 285079 291000 295087 296007 296059
    299086 300091 302008 304034 304074 306005 351093
    """.split()
)
_COUNTS = {"train": 200, "val": 100, "test": 200}


def load(
    *, dir: str = "", image_size: tuple[int, int], channels: int
) -> tuple[Part, Part, Part]:
    """Reads the photographs whole.

    Args:
      dir: the folder that holds folders train, val and test of the 200, 100 and 200
        images, 481 x 321 or 321 x 481 pixels, as JPEG or PNG files.
      image_size: their size (H, W). Those that are higher than wide where it is not,
        or the other way round, are turned by a right angle.
      channels: number of channels: 3 for colour, 1 for grey, its luma rounded to whole
        grey levels.

    Returns:
      Train: the 400 images of train and test. Validation: the 32 of val that are not
      in CBSD68. Test: CBSD68. Images are (N, H, W, C) uint8.

    Raises:
      CaejaxError: for missing or broken images.
    """
    if channels not in (1, 3):
        raise CaejaxError(f"data.channels is {channels}: use 1 (grey) or 3 (colour)")
    folder = expand(dir, "data.dir") if dir else Path()
    files = {name: _files(folder, name, count) for name, count in _COUNTS.items()}
    measured = [path for path in files["val"] if path.stem in CBSD68]
    if len(measured) != len(CBSD68):
        raise CaejaxError(
            f"{folder / 'val'} has {len(measured)} of the 68 images of CBSD68: set "
            "data.dir to the images of BSDS500 under their own names"
        )
    parts = (
        files["train"] + files["test"],
        [path for path in files["val"] if path.stem not in CBSD68],
        measured,
    )
    return tuple(_read(folder, paths, image_size, channels) for paths in parts)


def _files(folder, name, count):
    paths = sorted(
        path
        for path in (folder / name).glob("*")
        if path.suffix.lower() in (".jpg", ".png")
    )
    if not (folder / name).is_dir():
        raise CaejaxError(
            f"folder {str(folder / name)!r} does not exist: set data.dir to the folder "
            "images of BSDS500, with train, val and test"
        )
    if len(paths) != count:
        raise CaejaxError(
            f"{folder / name} has {len(paths)} JPEG and PNG images instead of {count}: "
            "set data.dir to the folder images of BSDS500, with train, val and test"
        )
    return paths


def _read(folder, paths, image_size, channels):
    images = [_whole(path, image_size, channels) for path in paths]
    if odd := {image.shape for image in images} - {(*image_size, channels)}:
        height, width, _ = odd.pop()
        raise CaejaxError(
            f"images of BSDS500 are {height}x{width}, but data.image_size is "
            f"{image_size[0]}x{image_size[1]}: set data.image_size=({height}, {width})"
        )
    origin = {
        path.relative_to(folder).as_posix(): hash_of(path.read_bytes())
        for path in paths
    }
    return Part(np.stack(images), origin=origin)


def _whole(path, image_size, channels):
    values = in_channels(read_picture(path, name=str(path)).values, channels)
    image = (255 * values).round().astype(np.uint8)
    lies, wanted = image.shape[0] < image.shape[1], image_size[0] < image_size[1]
    return image if lies == wanted else np.rot90(image)
