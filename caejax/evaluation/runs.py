"""The finished runs of a folder, and tables that measurements are added to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict

from caejax.data import SOURCES
from caejax.errors import CaejaxError, describe, lacks_memory
from caejax.files.csv_files import read_csv, write_csv
from caejax.files.finished import read_summary
from caejax.files.locks import FILES_LOCK, holding
from caejax.sweep.spec import expand
from caejax.terminal.notes import note
from caejax.training import recorded
from caejax.training.folder import begun_in, read_config
from caejax.training.images import load_data

Row = dict[str, Any]
Thing = TypeVar("Thing")


class FinishedRun(NamedTuple):
    """A run that may be measured.

    Attributes:
      id: a hash of the run's config.
      workdir: the run's folder.
      values: the swept fields and their values; {} for a run by itself.
      config: the resolved config.
    """

    id: str
    workdir: Path
    values: dict[str, Any]
    config: ConfigDict


def finished_runs(workdir: Path) -> list[FinishedRun]:
    """The finished runs of a sweep's folder, or the run of a folder of its own.

    Raises:
      CaejaxError: there is no finished run.
    """
    config = read_config(workdir)
    runs = [
        FinishedRun(
            run.id,
            workdir / "runs" / run.id if config.sweep else workdir,
            run.values,
            run.config,
        )
        for run in expand(config, begun_in(workdir))
    ]
    runs = [run for run in runs if _is_finished(run)]
    if not runs:
        raise CaejaxError(f"{workdir} has no finished run; finish one by `caejax run`")
    return runs


def _is_finished(run):
    try:
        summary = read_summary(run.workdir)
        recorded.read(run.workdir)
    except FileNotFoundError:
        return False
    except (CaejaxError, OSError) as error:
        text = describe(error)
        note(f"run {run.id} is left out: {text}")
        return False
    return summary.get("epochs") == run.config.train.epochs


def each(
    things: Sequence[Thing], name: Callable[[Thing], str], work: Callable[[Thing], None]
) -> None:
    """Does something with every one of several; what cannot be done is left out.

    Args:
      things: one or more.
      name: called with one of them, returns what a note calls it.
      work: called with one of them after the other.

    Raises:
      CaejaxError, or what says that memory is exhausted: of the last one, if none could
        be done.
    """
    errors = []
    for thing in things:
        try:
            work(thing)
        except Exception as error:
            if not (isinstance(error, CaejaxError) or lacks_memory(error)):
                raise
            errors.append(error)
            if len(errors) == len(things):
                raise
            note(f"{name(thing)} is left out: {describe(error)}")


def relocate(workdir: Path, dir: str) -> None:
    """Writes down that the data of a folder's finished runs are at another place now.

    Nothing is written unless the data of all of them are there.

    Args:
      workdir: the folder of a run or a sweep.
      dir: the place, as data.dir.

    Raises:
      CaejaxError: there are other data, or none.
    """
    found = {}
    for run in finished_runs(workdir):
        data = recorded.read(run.workdir)
        if SOURCES[run.config.data.source].drawn:
            continue
        if data is None:
            raise CaejaxError(
                f"{run.workdir} has no {recorded.FILE}, as it was made by an earlier "
                f"version of caejax; put the data back to {run.config.data.dir}"
            )
        config = run.config.copy_and_resolve_references()
        config.data.dir = dir
        found[run.workdir] = load_data(config, data).recorded
    if not found:
        raise CaejaxError(
            f"the images of {workdir} are generated; leave out the other place of data"
        )
    for place, data in found.items():
        recorded.write(place, data)


class Table:
    """A CSV file of measurements, whole after every row; rows there are kept.

    Several commands may add to one file.

    Args:
      path: the CSV file's path.
      key: a function that tells what a row measures; a later row of equal key takes
        the place of an earlier one.
      current: a function that tells whether a row measures something that still
        exists; other rows are dropped.
      columns: those that hold a value in every row.
      numbers: those that hold a number in every row.

    Raises:
      CaejaxError: the file is damaged.
    """

    def __init__(
        self,
        path: Path,
        key: Callable[[Row], Any],
        current: Callable[[Row], bool],
        columns: Sequence[str] = (),
        numbers: Sequence[str] = (),
    ):
        self._path, self._key, self._current = path, key, current
        self._columns, self._numbers = columns, numbers
        self._rows = self._read()

    def _read(self):
        mend = "move it away, and `caejax eval` measures again"
        rows = read_csv(
            self._path, needed=self._columns, numbers=self._numbers, mend=mend
        )
        rows = filter(self._current, rows)
        return {self._key(row): row for row in rows}

    def find(self, row: Row) -> Row | None:
        """The row that measures the same as the given one, if any."""
        return self._rows.get(self._key(row))

    def add(self, row: Row) -> None:
        """Adds a row and writes the file."""
        with holding(self._path.with_name(FILES_LOCK)):
            self._rows = self._read() | {self._key(row): row}
            write_csv(self._path, list(self._rows.values()))

    def rows(self) -> list[Row]:
        """All rows."""
        return list(self._rows.values())
