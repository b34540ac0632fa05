"""Image datasets of TensorFlow Datasets, read without TensorFlow."""

import importlib.util
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from caejax.data import split_indices
from caejax.data.dataset import Part
from caejax.data.origin import check_origin, hash_of
from caejax.data.pictures import read_image
from caejax.errors import CaejaxError, lacks_memory
from caejax.files.paths import expand

_INSTALL = 'pip install "caejax[tfds]"'

# tensorflow_datasets 4.9.10 imports importlib_resources without requiring it.
_PACKAGES = ("tensorflow_datasets", "array_record", "importlib_resources")


def load(
    *,
    name: str,
    dir: str = "",
    image_size: tuple[int, int],
    test_fraction: float = 0.1,
    limit: int = 0,
    seed: int = 0,
    download: bool = False,
    recorded: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[Part, Part]:
    """Reads the image feature of a dataset, and its labels if there are any.

    The image is the feature `image`, else the only image feature; the label
    is the class label `label`, else the only class label. Test is the split
    `test`, else `validation`, else a seeded part of train. A dataset that
    declares no fixed height and width has its images cropped at the centre to
    the aspect ratio of `image_size`, then resized (bicubic, anti-aliased).

    Args:
      name: the dataset's name, as in "cifar10" or "name/config:1.0.0".
      dir: where datasets are kept; if empty, the default of the library.
      image_size: (H, W) for images of no fixed size.
      test_fraction: share of train for test, if there is no such split.
      limit: number N of a part's first examples that are read; 0 means all.
      seed: the seed of the split into train and test.
      download: whether to download and prepare the dataset if not yet done.
        This can need TensorFlow; reading does not.
      recorded: the origins of the parts at an earlier time, by part: the version that
        they name is read.

    Returns:
      Train and test parts: images (N, H, W, 1 or 3) float32 in [0, 1], labels
      (N,) int32 or None.

    Raises:
      CaejaxError: for missing packages, a dataset that is unknown, not
        prepared, stored in another format or damaged, or that has no image.
    """
    missing = [p for p in _PACKAGES if importlib.util.find_spec(p) is None]
    if missing:
        raise CaejaxError(f"data.source=tfds needs {', '.join(missing)}: {_INSTALL}")
    builder = _open(_recorded_name(recorded) or name, dir)
    if not builder.data_path.exists():
        _prepare(builder, name, download)
    splits = builder.info.splits
    if "train" not in splits:
        raise CaejaxError(
            f"dataset {name!r} has the splits {', '.join(splits)} but no train: "
            "choose another data.name"
        )
    test = next((split for split in ("test", "validation") if split in splits), "train")
    rows = [np.arange(splits[split].num_examples) for split in ("train", test)]
    if test == "train":
        what = f"training examples of {name!r}"
        rows = split_indices(len(rows[0]), test_fraction, seed, what)
    origins = [_origin(builder.info, split) for split in ("train", test)]
    if recorded:
        check_origin(origins[0] | origins[1], recorded, str(builder.data_path))
    return tuple(
        _read(builder, split, rows_of_part[: limit or None], image_size)._replace(
            origin=origin
        )
        for split, rows_of_part, origin in zip(
            ("train", test), rows, origins, strict=True
        )
    )


def _origin(info, split):
    """The version, and how much of it there is."""
    about = info.splits[split]
    size = f"{about.num_examples} {about.num_bytes}"
    return {f"{info.full_name} {split}": hash_of(size.encode())}


def _recorded_name(recorded):
    names = [name for origin in (recorded or {}).values() for name in origin]
    return names[0].rpartition(" ")[0] if names else ""


def _open(name: str, dir: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=_place(dir))
    except Exception as error:  # tfds raises many kinds, over many lines
        raise CaejaxError(
            f"cannot open data.name {name!r} ({_first_line(error)}): choose a "
            "name of the TensorFlow Datasets catalogue, or one prepared in data.dir"
        ) from error


def _place(dir):
    if not dir or "://" in dir:
        return dir or None
    return str(expand(dir, "data.dir"))


def _prepare(builder: Any, name: str, download: bool) -> None:
    if not download:
        raise CaejaxError(
            f"dataset {name!r} is not prepared in {builder.data_path}: "
            f"{_INSTALL} and set data.download=True"
        )
    try:
        builder.download_and_prepare(file_format="array_record")
    except ImportError as error:  # most often TensorFlow; the last line names it
        reason = str(error).rpartition("\n")[2]
        raise CaejaxError(f"cannot prepare {name!r} ({reason}): {_INSTALL}") from error
    except Exception as error:  # a dataset's own code can fail in any way
        raise CaejaxError(
            f"cannot prepare {name!r} ({_first_line(error)}): prepare it "
            "elsewhere as array_record and set data.dir"
        ) from error


def _read(
    builder: Any, split: str, rows: np.ndarray, image_size: tuple[int, int]
) -> Part:
    import tensorflow_datasets as tfds

    features = builder.info.features

    def of_kind(kind: type) -> list[str]:
        return [key for key, feature in features.items() if isinstance(feature, kind)]

    pictures = of_kind(tfds.features.Image)
    # Floats are stored as four bytes that only look like an image.
    usable = [key for key in pictures if features[key].np_dtype != np.float32]
    image_key = _pick(usable, "image")
    label_key = _pick(of_kind(tfds.features.ClassLabel), "label")
    if image_key is None:
        raise CaejaxError(
            f"dataset {builder.info.full_name} has no single image among its features "
            f"{', '.join(features)}: choose another data.name"
        )
    shape = features[image_key].shape
    images, labels = [], []
    for example in _examples(builder, split, rows, pictures):
        name = f"{split} example {rows[len(images)]} of {builder.info.full_name}"
        images.append(_decode(example[image_key], shape, image_size, name))
        labels.append(example.get(label_key))
    return Part(np.stack(images), np.array(labels, np.int32) if label_key else None)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _pick(keys: Sequence[str], favourite: str) -> str | None:
    if favourite in keys:
        return favourite
    return keys[0] if len(keys) == 1 else None


def _examples(
    builder: Any, split: str, rows: np.ndarray, pictures: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The examples with their images still encoded."""
    import tensorflow_datasets as tfds

    decoders = dict.fromkeys(pictures, tfds.decode.SkipDecoding())
    try:
        source = builder.as_data_source(split, decoders=decoders)
        for row in rows:
            yield source[int(row)]
    except NotImplementedError as error:
        raise CaejaxError(
            f"{builder.data_path} is stored as {builder.info.file_format.value}, which "
            "only TensorFlow reads: set data.dir to another folder and "
            "data.download=True to prepare it as array_record"
        ) from error
    except Exception as error:  # array_record and protobuf have their own kinds
        if lacks_memory(error):
            raise
        raise CaejaxError(
            f"cannot read {builder.data_path} ({_first_line(error)}): "
            "delete it and set data.download=True"
        ) from error


def _decode(
    data: bytes, shape: tuple[int | None, ...], image_size: tuple[int, int], name: str
) -> np.ndarray:
    """(H, W, C) float32; resized if `shape`, as declared, is not fixed."""
    image = read_image(io.BytesIO(data), 1 if shape[-1] == 1 else 3, name=name)
    if None not in shape[:2]:
        return image
    height, width = image_size
    planes = [
        ImageOps.fit(Image.fromarray(plane), (width, height), Image.Resampling.BICUBIC)
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.clip(np.stack([np.asarray(p) for p in planes], axis=-1), 0, 1)
