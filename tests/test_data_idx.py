import gzip
import hashlib
import os
import socket
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from caejax import data
from caejax.data import idx
from caejax.errors import CaejaxError

REAL = os.environ.get("CAEJAX_DATA", Path(__file__).parents[2] / "shared" / "data")
MNIST = Path(REAL, "mnist")

MD5 = {
    "train images": "6bbc9ace898e44ae57da46a324031adb",
    "train labels": "a25bea736e30d166cdddb491f175f624",
    "test images": "2646ac647ad5339dbf082846283269ea",
    "test labels": "27ae3e4e09519cfbb04c329615203637",
}


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">{array.ndim + 1}I", 2048 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def make_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (6, 5, 4)),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 6),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (3, 5, 4)),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 3),
    }


@pytest.fixture
def folder(tmp_path):
    """A folder with the four gzipped files of a tiny dataset."""
    path = tmp_path / "idx"
    path.mkdir()
    for name, array in make_arrays().items():
        (path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".gz.gz"])
@pytest.mark.parametrize("joint", [".idx", "-idx"])
def test_reads_every_spelling(tmp_path, suffix, joint):
    arrays = make_arrays()
    for name, array in arrays.items():
        contents = idx_bytes(array)
        for _ in range(suffix.count("gz")):  # what is compressed twice keeps its name
            contents = gzip.compress(contents)
        (tmp_path / (name.replace("-idx", joint) + suffix[:3])).write_bytes(contents)
    train, test = idx.load(dir=str(tmp_path))
    np.testing.assert_array_equal(
        train.images[..., 0], arrays["train-images-idx3-ubyte"]
    )
    np.testing.assert_array_equal(train.labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(test.images[..., 0], arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert train.images.shape == (6, 5, 4, 1)
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int32)


def truncate_gzip(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])


def flip_byte(folder, place):
    path = folder / "train-images-idx3-ubyte.gz"
    contents = bytearray(path.read_bytes())
    contents[place] ^= 255
    path.write_bytes(contents)


corrupt_data = partial(flip_byte, place=30)
corrupt_block_header = partial(flip_byte, place=10)


def no_idx(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"<html>404</html>")


def empty_it(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"")


def swap_kinds(folder):
    labels = (folder / "train-labels-idx1-ubyte.gz").read_bytes()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(labels)


def truncate_contents(folder):
    contents = idx_bytes(make_arrays()["t10k-images-idx3-ubyte"])[:-1]
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(contents))


def truncate_header(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01"))


def drop_labels(folder):
    labels = idx_bytes(np.arange(5))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def remove_file(folder):
    (folder / "t10k-images-idx3-ubyte.gz").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate_gzip, "cannot read .*train-images-idx3-ubyte.gz .*fetch it again"),
        (corrupt_data, "cannot read .*train-images-idx3-ubyte.gz .*fetch it again"),
        (corrupt_block_header, "cannot read .*train-images.*gz .*fetch it again"),
        (
            no_idx,
            "train-images-idx3-ubyte.gz has magic number .* IDX file of images",
        ),
        (empty_it, "train-images-idx3-ubyte.gz is empty: fetch it again"),
        (swap_kinds, "train-images-idx3-ubyte.gz .*2049 instead of 2051"),
        (truncate_contents, "t10k-images-idx3-ubyte.gz .*3 images.*76 bytes.* 75"),
        (truncate_header, "train-labels-idx1-ubyte.gz .*truncated"),
        (drop_labels, "6 train images but 5 train labels"),
        (remove_file, "no t10k-images-idx3-ubyte.*data.dir.*data.download=True"),
    ],
)
def test_damaged_files(folder, damage, words):
    damage(folder)
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        idx.load(dir=str(folder))


def test_no_folder(tmp_path):
    words = r"nowhere does not exist.*data\.dir.*data\.download=True"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        idx.load(dir=str(tmp_path / "nowhere"))
    with pytest.raises(CaejaxError, match=r"\Adata\.dir is empty.*mnist.*\Z"):
        idx.load()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(folder, monkeypatch):
    """The address of the files of `folder`, served on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


@pytest.fixture
def dead():
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def digests(folder):
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()
    }


def test_fetch_tries_mirrors_in_order(folder, server, dead, tmp_path, capfd):
    bad = folder / "bad"
    wanted = digests(folder)
    bad.mkdir()
    for name in wanted:
        (bad / name).write_bytes(b"harmed")
    cache = tmp_path / "cache"
    idx.fetch(cache, wanted, [dead, f"{server}missing/", f"{server}bad/", server])
    assert digests(cache) == wanted
    assert capfd.readouterr() == ("", "")


def test_fetch_without_a_working_mirror(folder, server, dead, tmp_path):
    name = "train-images-idx3-ubyte.gz"
    mirrors = [dead, f"{server}missing/", server]
    words = (
        f"{name} from {dead} .ConnectionError., {server}missing/ .HTTPError., "
        f"{server} .wrong SHA-256.: .*data.dir"
    )
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        idx.fetch(tmp_path / "cache", {name: "0" * 64}, mirrors)
    assert not list((tmp_path / "cache").iterdir())


def test_load_fetches_only_what_is_missing(folder, server, tmp_path, monkeypatch):
    wanted = digests(folder)
    known = {"mirrors": [server], "sha256": wanted}
    monkeypatch.setitem(idx.DOWNLOADS, "mnist", known)
    own = tmp_path / "own"
    own.mkdir()
    plain = idx_bytes(np.arange(6))
    (own / "train-labels-idx1-ubyte").write_bytes(plain)
    train, _ = idx.load(name="mnist", dir=str(own), download=True)
    np.testing.assert_array_equal(train.labels, np.arange(6))
    fetched = wanted.keys() - {"train-labels-idx1-ubyte.gz"}
    assert {path.name for path in own.iterdir()} == fetched | {
        "train-labels-idx1-ubyte"
    }


def test_cache_serves_later_runs_without_network(folder, server, tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    known = {"mirrors": [server], "sha256": digests(folder)}
    monkeypatch.setitem(idx.DOWNLOADS, "kmnist", known)
    first, _ = idx.load(name="kmnist", download=True)
    assert (tmp_path / "caejax" / "kmnist" / "train-images-idx3-ubyte.gz").is_file()
    monkeypatch.setattr(idx, "fetch", None)  # any further download would fail
    for download in (True, False):
        again, _ = idx.load(name="kmnist", download=download)
        np.testing.assert_array_equal(again.images, first.images)


def test_unknown_download(tmp_path):
    words = "'emnist'.*mnist, fashion_mnist, kmnist.*train-images-idx3-ubyte.gz into"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        idx.load(name="emnist", dir=str(tmp_path), download=True)


def test_download_table():
    names = {f"{name}.gz" for name in make_arrays()}
    for known in idx.DOWNLOADS.values():
        assert known["sha256"].keys() == names
        assert len(set(known["sha256"].values())) == 4
        assert all(len(bytes.fromhex(h)) == 32 for h in known["sha256"].values())
        assert len(known["mirrors"]) > 1
        assert all(mirror.endswith("/") for mirror in known["mirrors"])


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST is not in {MNIST}")
def test_real_mnist():
    splits = dict(zip(("train", "test"), idx.load(dir=str(MNIST)), strict=True))
    for part, split in splits.items():
        for kind, array in (("images", split.images[..., 0]), ("labels", split.labels)):
            digest = hashlib.md5(idx_bytes(array)).hexdigest()
            assert digest == MD5[f"{part} {kind}"]
    assert splits["train"].images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)

    loaded = data.load("idx", dir=str(MNIST), val_fraction=0.1)
    shapes = [split.images.shape for split in loaded]
    assert shapes == [(54000, 28, 28, 1), (6000, 28, 28, 1), (10000, 28, 28, 1)]


def test_files_may_be_packed_otherwise_than_they_say(folder):
    """Unpacked under the packed name, packed without, or in a folder of its name."""
    expected = idx.load(dir=str(folder))
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(gzip.decompress(images.read_bytes()))
    labels = folder / "train-labels-idx1-ubyte.gz"
    labels.rename(folder / "train-labels-idx1-ubyte")
    test = folder / "t10k-images-idx3-ubyte.gz"
    below = folder / "t10k-images-idx3-ubyte"
    below.mkdir()
    (below / "t10k-images-idx3-ubyte").write_bytes(gzip.decompress(test.read_bytes()))
    test.unlink()
    found = idx.load(dir=str(folder))
    for part, own in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part.images, own.images)
        np.testing.assert_array_equal(part.labels, own.labels)
        assert part.origin == own.origin


def test_labels_may_be_missing(folder):
    for path in folder.glob("*-labels-*"):
        path.unlink()
    train, test = idx.load(dir=str(folder))
    assert train.labels is None
    assert test.labels is None
    assert set(train.origin) == {"train-images"}
