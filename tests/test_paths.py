"""Paths as people write them."""

import os
from pathlib import Path

import pytest
from helpers.tiny import save_checkpoints, tiny_config

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.files.paths import as_text, expand, expand_folder, expand_there
from caejax.sweep.spec import expand as sweep_of
from caejax.training.folder import last_step
from caejax.training.restore import restore


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


def test_first_folders_that_exist_are_taken_as_they_are_written(monkeypatch, tmp_path):
    monkeypatch.setenv("x", "variable")
    monkeypatch.chdir(tmp_path)
    Path("a $x").mkdir()
    Path("~").mkdir()
    for inside in ("a $x", "~", f"{tmp_path}/a $x"):
        assert expand(f"{inside}/new", "--workdir") == Path(inside, "new")
        assert expand(f"{inside}/$x", "--workdir") == Path(inside, "variable")


def test_relative_paths_may_start_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand("a/b", "x", tmp_path) == tmp_path / "a" / "b"
    assert expand("~/b", "x", tmp_path) == Path("/home/me/b")
    (tmp_path / "there").mkdir()
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert expand_there("there", "x", tmp_path) == tmp_path / "there"
    Path("moved").mkdir()
    assert expand_there("moved", "x", tmp_path) == Path("moved")
    assert expand_there("gone", "x", tmp_path) == tmp_path / "gone"


@pytest.mark.parametrize("path", ["", b"", "a\0b"])
def test_what_no_path_can_be_is_one_line(path):
    with pytest.raises(CaejaxError, match=r"^--out is ('a.x00b'|empty)"):
        expand(path, "--out")


class Place(os.PathLike):
    """A path of another library."""

    def __init__(self, text):
        self.text = text

    def __fspath__(self):
        """The text."""
        return self.text


@pytest.mark.parametrize("kind", [str, Path, Place, os.fsencode])
def test_all_kinds_of_paths_are_alike(kind):
    assert expand(kind("/a b/c"), "--run") == Path("/a b/c")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CaejaxError, match=r"--out .*file is a file; name a folder"):
        expand_folder(tmp_path / "file", "--out")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(CaejaxError, match=r"--out .*link is a link to nothing; name a"):
        expand_folder(tmp_path / "link", "--out")
    assert expand_folder(tmp_path / "new", "--out") == tmp_path / "new"


@pytest.mark.parametrize("kind", [Path, Place])
@pytest.mark.parametrize("field", ["data.dir", "data.name", "train.start_from"])
def test_fields_take_paths(kind, field):
    config = config_lib.default()
    section, name = field.split(".")
    config[section][name] = kind("/a b/c")
    again = config_lib.from_json(config_lib.to_json(config))
    assert config_lib.get(again, field) == "/a b/c"
    again[section][name] = kind("d")
    assert config_lib.run_id(again) != config_lib.run_id(config)
    with pytest.raises(TypeError):
        config[section][name] = 3
    config.sweep = {"x": {"field": field, "values": (kind("a"), kind("b"))}}
    assert [run.values for run in sweep_of(config)] == [{field: "a"}, {field: "b"}]


@pytest.mark.parametrize("name", [os.fsdecode(b"\xe9"), "plain", "é \x1b|"])
def test_libraries_get_text(name, tmp_path):
    folder = tmp_path / name / "inside"
    folder.mkdir(parents=True)
    for path in (folder / "x", folder / ".." / "inside" / "x"):
        text = as_text(path)
        assert str(text).encode().decode() == str(text)
        assert ".." not in text.parts
        text.write_bytes(os.fsencode(path))
        assert (folder / "x").read_bytes() == os.fsencode(path)


@pytest.mark.parametrize("name", ["caf\udce9 \x1b[2J|", "new\nline", "e" * 255])
def test_checkpoints_lie_in_folders_of_any_name(name, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = tiny_config()
    for workdir in (tmp_path / name / "run", Path("..", name, "other")):
        save_checkpoints(workdir, config, seeds=(0, 1))
        assert int(restore(workdir, config).step) == 1
        assert last_step(workdir) == 1
