"""Config files, found by path or name."""

import os
import re
from pathlib import Path

import pytest
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax.config.load import (
    config_names,
    find_config,
    load_config,
)
from caejax.errors import CaejaxError

CONFIGS = Path(__file__).parents[1] / "configs"


def test_all_configs_of_the_repository_have_names():
    files = (path for path in CONFIGS.rglob("*.py"))
    names = [os.fspath(path.relative_to(CONFIGS))[:-3] for path in files]
    assert config_names() == sorted(names)
    assert {"quickstart", "seeds/b_basic"} <= set(names)


@pytest.mark.parametrize(
    "name",
    ["quickstart", "quickstart.py", "configs/quickstart.py", "./configs/quickstart"],
)
def test_configs_are_found_by_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / "quickstart.py"
    assert find_config(Path(name)) == CONFIGS / "quickstart.py"


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()  # a folder is none
    assert find_config("quickstart") == CONFIGS / "quickstart.py"
    Path("quickstart.py").write_text("")
    assert find_config("quickstart.py") == Path("quickstart.py")
    assert find_config("quickstart") == CONFIGS / "quickstart.py"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("quickstrat", "quickstart"),
        ("b_basic", "seeds/b_basic"),
        ("something", ""),
    ],
)
def test_an_unknown_name_is_one_line_with_the_known_ones(name, hint):
    with pytest.raises(CaejaxError) as caught:
        find_config(name)
    line = str(caught.value)
    assert line.startswith(f"config {name!r} is no file, and none of that name ships")
    assert ("did you mean" in line) == bool(hint)
    assert f"(did you mean {hint!r}?)" in line or not hint
    assert line.endswith(", ".join(config_names()))


def test_an_unknown_file_is_told_apart_from_one_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_sweep.py").touch()
    Path("folder").mkdir()
    Path("folder/quickly.py").touch()
    for given, meant in {
        "my_swep.py": "my_sweep.py",
        "my_swep": "my_sweep.py",
        "folder/quikly.py": "folder/quickly.py",
        "quickstrat.py": "quickstart",
    }.items():
        with pytest.raises(CaejaxError, match=re.escape(f"(did you mean '{meant}'?)")):
            find_config(given)


def test_a_config_is_loaded_and_locked():
    config = load_config("quickstart")
    assert set(config.sweep) == {"decoder", "seed"}
    assert config.train.batch_size == 32
    with pytest.raises(AttributeError):
        config.speed = 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(): raise ValueError('boom')", "boom"),
        ("def get_config(): pass", "returns nothing"),
        ("def get_config(): return {}", "returns no ConfigDict"),
        ("x = (", "never closed"),
        ("x = 1", "get_config"),
    ],
)
def test_a_config_file_that_fails_is_one_line(text, words, tmp_path):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(CaejaxError, match=words) as caught:
        load_config(tmp_path / "broken.py")
    assert str(tmp_path / "broken.py") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_config_file_of_ones_own_is_loaded(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from helpers.tiny import tiny_config as get_config")
    assert config_lib.to_json(load_config(file)) == config_lib.to_json(tiny_config())
