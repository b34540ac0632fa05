"""How the package is found once it is installed from a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BUILD = "from setuptools import build_meta; build_meta.build_editable('..')"
FIND = "import site; site.addsitedir('site'); import caejax; print(caejax.__file__)"


def python(program, folder, *options):
    """Runs a program where the package is not on the path."""
    environment = {k: x for k, x in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1:]


def test_it_is_found_in_the_folder_above_a_checkout_of_its_name(tmp_path):
    """There, Python sees a folder of that name first, which is no package."""
    pytest.importorskip("setuptools")
    checkout = tmp_path / "caejax"
    (checkout / "caejax").mkdir(parents=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "caejax/__init__.py"):
        shutil.copyfile(ROOT / name, checkout / name)
    shutil.copyfile(ROOT / "caejax/errors.py", checkout / "caejax/errors.py")
    shutil.copytree(ROOT / "caejax/terminal", checkout / "caejax/terminal")
    python(BUILD, checkout)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    found = [str(checkout / "caejax" / "__init__.py")]
    # Without what else is installed: the package itself is, too.
    assert python(FIND, tmp_path, "-S") == found
    assert python(FIND.replace("'site'", "'../site'"), checkout, "-S") == found
