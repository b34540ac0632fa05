"""How tests import what lies in a folder of experiments."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@contextlib.contextmanager
def modules_of(study: str) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a study's modules as its command does, by their everyday names.

    Other studies have modules of these names, so they are forgotten afterwards.
    """
    folder = EXPERIMENTS / study
    names = [path.stem for path in folder.glob("*.py")]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
