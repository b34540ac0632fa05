"""Paths as people write them."""

from pathlib import Path

import pytest

from caejax.errors import CaejaxError
from caejax.files.paths import expand


def test_home_and_variables_are_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_DATA", "/a b")
    assert expand("~/x", "data.dir") == tmp_path / "x"
    assert expand("$MY_DATA/x", "data.dir") == Path("/a b/x")
    assert expand("${MY_DATA}/x", "data.dir") == Path("/a b/x")
    assert expand(Path("~/x"), "data.dir") == tmp_path / "x"
    assert expand("x/y", "data.dir") == Path("x/y")


def test_what_exists_as_written_is_taken_so(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/elsewhere")
    Path("~").mkdir()
    Path("$x").mkdir()
    assert expand("~", "--workdir") == Path("~")
    assert expand("$x", "--workdir") == Path("$x")


@pytest.mark.parametrize(
    "path", ["$NOT_SET_AT_ALL/x", "${NOT_SET_AT_ALL}", "~nobody_x/y"]
)
def test_what_is_not_there_is_named(path, monkeypatch):
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    with pytest.raises(CaejaxError, match=r"--workdir is .*(NOT_SET_AT_ALL|home)"):
        expand(path, "--workdir")
