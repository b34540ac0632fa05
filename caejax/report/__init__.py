"""Figures, tables and pages, from the files that runs wrote and nothing else."""

import contextlib
import os
import sys
import tempfile

# What may keep matplotlib from being imported at all.
_VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC", "MPLCONFIGDIR")


def _import_matplotlib():
    """Imports matplotlib even where the user's settings of it are broken."""
    with contextlib.suppress(Exception):
        import matplotlib.pyplot

        return
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        del sys.modules[name]  # they know the half of it
    kept = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as empty:
        try:
            # A file named matplotlibrc in the working directory is read first.
            os.chdir(empty)
            os.environ["MPLCONFIGDIR"] = empty
            import matplotlib.pyplot  # noqa: F401
        finally:
            os.chdir(here)
            del os.environ["MPLCONFIGDIR"]
            os.environ.update(kept)


_import_matplotlib()
