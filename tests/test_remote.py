"""Tests of object stores in place of folders."""

import builtins

import numpy as np
import pytest
from helpers.tiny import tiny_config

from caejax.errors import CaejaxError
from caejax.files import remote
from caejax.files.paths import expand, expand_folder
from caejax.training.images import load_data


def test_folders_on_object_stores_are_refused():
    for address in ("s3://bucket/runs", "s3:/bucket/runs", "gs://b/x", "hf://a/b"):
        with pytest.raises(CaejaxError, match=r"--workdir is .*rclone mount"):
            expand_folder(address, "--workdir")
    for path in ("/a/b", "a:b", "C:/x", "~"):
        assert not remote.is_remote(path)


def test_a_folder_of_such_a_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "bucket").mkdir(parents=True)
    assert expand("s3:/bucket", "--workdir").is_dir()


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A store in memory with an npz file, and a cache of its own."""
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    monkeypatch.setattr(remote.pooch, "os_cache", lambda name: tmp_path / name)
    remote.fetched.cache_clear()
    rng = np.random.default_rng(0)

    def put():
        images = rng.integers(0, 256, (40, 16, 16, 1), np.uint8)
        np.savez(tmp_path / "x.npz", x_train=images, x_test=images[:12])
        store.put_file(str(tmp_path / "x.npz"), "/bucket/x.npz")
        return images

    yield put
    store.store.clear()
    remote.fetched.cache_clear()


def test_data_are_read_from_a_store_and_kept(stored, tmp_path):
    images = stored()
    config = tiny_config()
    config.data.source, config.data.dir = "npz", "memory://bucket/x.npz"
    found = load_data(config)
    assert found.recorded.dir == "memory://bucket/x.npz"
    assert len(found.images["train"]) == 32
    np.testing.assert_array_equal(found.images["test"], images[:12])
    # A run that goes on reads the same copy, and knows its contents.
    again = load_data(config, found.recorded)
    assert again.recorded.place == found.recorded.place
    assert str(tmp_path) in found.recorded.place
    remote.fetched.cache_clear()
    stored()  # other images: another copy, which is not what the run was begun with
    assert load_data(config).recorded.place != found.recorded.place


def test_what_a_store_lacks_is_one_line(stored):
    for address in ("memory://bucket/none.npz", "nosuch://bucket/x"):
        with pytest.raises(CaejaxError, match=r"config\.data\.dir is .*cannot be read"):
            remote.fetched(address, "config.data.dir")


def test_without_fsspec_a_line_says_what_to_install(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("fsspec"):
            raise ModuleNotFoundError(name=name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(CaejaxError, match=r'pip install "caejax\[remote\]"'):
        remote.fetched("s3://elsewhere/x", "config.data.dir")
