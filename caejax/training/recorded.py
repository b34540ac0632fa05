"""Which data a run was trained on, and where they are now."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from caejax.data import PARTS, SOURCES
from caejax.data.dataset import Found
from caejax.errors import CaejaxError
from caejax.files import remote
from caejax.files.atomic import write_json
from caejax.files.paths import expand_there

FILE = "data.json"

# By part of the data: hashes of contents by name, in the order of the images. In pairs,
# as keys of caches cannot be mappings.
Origins = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class Recorded(NamedTuple):
    """A run's data.

    Attributes:
      source, name, dir: the config's data.source, data.name and data.dir when the run
        began.
      place: the folder or file where the data were found last, absolute; "" where the
        source needs none.
      note: the line about what was read and what was left out.
      origins: what each part was read from.
    """

    source: str
    name: str
    dir: str
    place: str
    note: str
    origins: Origins


def record(config: ConfigDict, found: Found, place: str) -> Recorded:
    """What is to be known of data that have been read at a place."""
    section = config.data
    return Recorded(
        source=section.source,
        name=section.name,
        dir=str(section.dir),
        place=place,
        note=found.note,
        origins=origins_of(found),
    )


def place_of(config: ConfigDict, within: Path = Path()) -> str:
    """Where a config's data are, absolute; "" where it names no place.

    Args:
      config: the config.
      within: the folder to which relative paths are, if there is something; else they
        are relative to the working directory.
    """
    section = config.data
    source = SOURCES.get(section.source)
    if source and source.drawn:
        return ""
    if remote.is_remote(section.dir):
        return str(remote.fetched(section.dir, "config.data.dir"))
    if str(section.dir):
        return os.path.abspath(expand_there(section.dir, "config.data.dir", within))
    if source and source.file and section.name:
        return os.path.abspath(expand_there(section.name, "config.data.name", within))
    return ""


def origins_of(found: Found) -> Origins:
    """What each part of a dataset was read from."""
    return tuple((part, tuple(found.origins[part].items())) for part in PARTS)


def by_part(origins: Origins) -> dict[str, dict[str, str]]:
    """The same as mappings, as `caejax.data.load` takes it."""
    return {part: dict(pairs) for part, pairs in origins}


def write(workdir: Path, recorded: Recorded) -> None:
    """Writes data.json into a run's folder."""
    values = recorded._asdict() | {"origins": by_part(recorded.origins)}
    write_json(workdir / FILE, values)


def read(workdir: Path) -> Recorded | None:
    """Reads a run's data.json; None if it has none, as runs of earlier versions.

    Raises:
      CaejaxError: it is damaged.
    """
    path = workdir / FILE
    try:
        values = json.loads(path.read_bytes())
        origins = tuple(
            (part, tuple((name, str(hash)) for name, hash in pairs.items()))
            for part, pairs in values["origins"].items()
        )
        texts = {name: values[name] for name in Recorded._fields if name != "origins"}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError
    except FileNotFoundError:
        return None
    except (
        *(ValueError, TypeError, KeyError, AttributeError, RecursionError),
        IsADirectoryError,
    ) as error:
        raise CaejaxError(
            f"{path} is damaged, so that nobody knows which images the run was trained "
            "on; delete it if the data are still the same"
        ) from error
    return Recorded(**texts, origins=origins)


def located(
    config: ConfigDict, recorded: Recorded | None, within: Path = Path()
) -> ConfigDict:
    """A config whose data.dir is where its data are.

    That is the place where a run has found them, if the config names them as it did
    then: a relative path is relative to the working directory of the command that has
    begun the run.

    Args:
      config: the config, which is not changed.
      recorded: the data of the run; None for a new one.
      within: the folder to which the paths of a new one are, as `place_of` has it.

    Raises:
      CaejaxError: nothing is there.
    """
    far = remote.is_remote(config.data.dir)
    if recorded is None:
        elsewhere = far or within != Path()
        return _at(config, place_of(config, within)) if elsewhere else config
    if not named_alike(config.data, recorded) or not recorded.place:
        return _at(config, place_of(config)) if far else config
    if os.path.exists(recorded.place):
        return _at(config, recorded.place)
    if not os.path.exists(place_of(config)):  # nor moved along with all else
        raise CaejaxError(
            f"the run was trained on data at {recorded.place}, which does not exist "
            "any more; set data.dir to where they are now"
        )
    return _at(config, place_of(config)) if far else config


def _at(config, place):
    config = config.copy_and_resolve_references()
    config.data.dir = place
    return config


def are_at(config: ConfigDict, recorded: Recorded) -> bool:
    """Whether a config's data are where a run has found its own, whatever is there."""
    section = config.data
    if (section.source, section.name) != (recorded.source, recorded.name):
        return False
    return named_alike(section, recorded) or place_of(config) == recorded.place


def move(workdir: Path, recorded: Recorded, place: str) -> None:
    """Writes down that a run's data, which have been read there, are at a new place."""
    write(workdir, recorded._replace(place=place))


def named_alike(section: Mapping, recorded: Recorded) -> bool:
    """Whether a config's data section names the data as a run did when it began."""
    here = section.source, section.name, str(section.dir)
    return here == (recorded.source, recorded.name, recorded.dir)
