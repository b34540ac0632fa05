"""MNIST-style IDX files, read from disk or fetched when asked to."""

import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from caejax.data.dataset import Part
from caejax.data.origin import hash_of_array
from caejax.errors import CaejaxError
from caejax.files.paths import expand

# Mirrors are tried in this order. The SHA-256 are those of the files as
# published, as listed in url_checksums/ of TensorFlow Datasets 4.9.10.
DOWNLOADS = {
    "mnist": {
        "mirrors": [
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ],
        "sha256": {
            "train-images-idx3-ubyte.gz": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    },
    "fashion_mnist": {
        "mirrors": [
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ],
        "sha256": {
            "train-images-idx3-ubyte.gz": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    },
    "kmnist": {
        "mirrors": [
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ],
        "sha256": {
            "train-images-idx3-ubyte.gz": (
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"
            ),
            "train-labels-idx1-ubyte.gz": (
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"
            ),
        },
    },
}

_RANK = {"images": 3, "labels": 1}


def load(*, name: str = "", dir: str = "", download: bool = False) -> tuple[Part, Part]:
    """Reads the four files of an MNIST-style dataset, gzipped or plain.

    Args:
      name: a key of `DOWNLOADS`; needed only to download, or if `dir` is empty.
      dir: the files' folder; if empty, the cache folder for `name`.
      download: whether to fetch the files that are missing. The network is never tried
        when all four are there.

    Returns:
      Train and test parts: images (N, H, W, 1) uint8, labels (N,) int32, or None where
      there is no file of labels.

    Raises:
      CaejaxError: for a file that is missing, damaged or of another kind, and
        for a download that failed.
    """
    folder = _folder(name, dir)
    if download:
        missing = _missing_files(folder)
        if missing and name not in DOWNLOADS:
            raise CaejaxError(
                f"cannot download data.name {name!r}: choose one of "
                f"{', '.join(DOWNLOADS)}, or put {missing[0]} into {folder}"
            )
        if missing:
            known = DOWNLOADS[name]
            wanted = {file: known["sha256"][file] for file in missing}
            fetch(folder, wanted, known["mirrors"])
    if not folder.is_dir():
        raise CaejaxError(
            f"folder {folder} does not exist: set data.dir to the folder of the IDX "
            f"files, or data.download=True with data.name one of {', '.join(DOWNLOADS)}"
        )
    return _read_split(folder, "train"), _read_split(folder, "t10k")


def fetch(folder: Path, sha256: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Downloads files, each from the first mirror that serves it unharmed.

    Args:
      folder: where the files go; made if need be.
      sha256: the hexadecimal SHA-256 of each file's contents, by file name.
      mirrors: addresses that file names are appended to, tried in order.

    Raises:
      CaejaxError: if no mirror served a file with the right hash.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    for file, digest in sha256.items():
        failures = []
        for mirror in mirrors:
            try:
                pooch.retrieve(
                    mirror + file,
                    known_hash=f"sha256:{digest}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
                break
            except ValueError:  # pooch found another hash
                failures.append(f"{mirror} (wrong SHA-256)")
            except OSError as error:  # what requests raises is an OSError too
                failures.append(f"{mirror} ({type(error).__name__})")
        else:
            raise CaejaxError(
                f"could not download {file} from {', '.join(failures)}: put the four "
                "IDX files into a folder yourself and set data.dir to it"
            )


def _folder(name: str, dir: str) -> Path:
    if dir:
        return expand(dir, "data.dir")
    if name not in DOWNLOADS:
        raise CaejaxError(
            "data.dir is empty: set it to the folder of the IDX files, or set "
            f"data.download=True with data.name one of {', '.join(DOWNLOADS)}"
        )
    import pooch

    return pooch.os_cache("caejax") / name


def _missing_files(folder: Path) -> list[str]:
    return [
        f"{part}-{kind}-idx{rank}-ubyte.gz"
        for part in ("train", "t10k")
        for kind, rank in _RANK.items()
        if _find(folder, part, kind) is None
    ]


def _find(folder: Path, part: str, kind: str) -> Path | None:
    names = [
        f"{part}-{kind}{joint}idx{_RANK[kind]}-ubyte{suffix}"
        for joint in "-."
        for suffix in ("", ".gz")
    ]
    # Some programs unpack each file into a folder of its name.
    paths = [folder / name for name in names]
    paths += [folder / outer / inner for outer in names for inner in names]
    return next((path for path in paths if path.is_file()), None)


def _read_split(folder: Path, part: str) -> Part:
    images = _read_array(folder, part, "images")
    origin = {f"{part}-images": hash_of_array(images)}
    if _find(folder, part, "labels") is None:
        return Part(images[..., None], origin=origin)
    labels = _read_array(folder, part, "labels")
    origin[f"{part}-labels"] = hash_of_array(labels)
    if len(images) != len(labels):
        raise CaejaxError(
            f"{folder} has {len(images)} {part} images but {len(labels)} {part} "
            "labels: use files of one dataset"
        )
    return Part(images[..., None], labels.astype(np.int32), origin)


def _read_array(folder: Path, part: str, kind: str) -> np.ndarray:
    rank = _RANK[kind]
    path = _find(folder, part, kind)
    if path is None:
        raise CaejaxError(
            f"{folder} has no {part}-{kind}-idx{rank}-ubyte[.gz]: set data.dir to the "
            "folder of the IDX files, or data.download=True"
        )
    data = _read_bytes(path)
    if not data:
        raise CaejaxError(f"{path} is empty: fetch it again")
    start = 4 * (1 + rank)  # the magic number and one length per axis
    header = np.frombuffer(data[:start].ljust(start, b"\0"), ">u4")
    magic, *shape = header.tolist()
    wanted = 2048 + rank  # 0x08 for unsigned bytes, then the rank
    if magic != wanted:
        raise CaejaxError(
            f"{path} has magic number {magic} instead of {wanted}: "
            f"replace it with an IDX file of {kind}"
        )
    size = start + math.prod(shape)
    if len(data) != size:
        raise CaejaxError(
            f"{path} declares {shape[0]} {kind}, which make {size} bytes, but has "
            f"{len(data)}: it is truncated or damaged, fetch it again"
        )
    return np.frombuffer(data[start:], np.uint8).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        for _ in range(2):  # whatever its suffix says; some are compressed twice
            if data.startswith(b"\x1f\x8b"):
                data = gzip.decompress(data)
        return data
    except (OSError, EOFError, zlib.error) as error:
        raise CaejaxError(f"cannot read {path} ({error}): fetch it again") from error
