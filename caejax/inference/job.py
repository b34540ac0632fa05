"""What the commands of `caejax.apply` share: where images come from and go."""

import collections
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from caejax.data import SOURCES, Split
from caejax.data.pictures import Picture, reduce_image
from caejax.errors import (
    CaejaxError,
    describe,
    is_foreseen,
    lacks_memory,
    print_error,
)
from caejax.inference import image_files
from caejax.inference.trained import Trained
from caejax.report.style import paper_style, save
from caejax.terminal import lines
from caejax.terminal.bars import counting_bar
from caejax.terminal.notes import note
from caejax.terminal.numbers import counted
from caejax.training.images import load_split

if TYPE_CHECKING:  # it is imported by caejax.report, with care
    from matplotlib.figure import Figure

_SHOWN_SIDE = 150  # pixels of an image in a figure, about

Advance = Callable[[float], None]


class Job(NamedTuple):
    """What every command is told.

    Attributes:
      trained: The model that is used; None for the shipped one of each image.
      out: The folder to write to.
      overwrite: Whether files in that folder may be replaced.
      images: The user's images and folders of such; none for the run's own data.
      convert: Whether they are made grey or colour, as the model needs.
      split: The part of the run's own data, "train", "val" or "test".
      limit: So many images of the split are used; 0 is all.
      count: So many pictures are shown.
      name: What the model is called in figures, "" where none is named.
    """

    trained: Trained | None
    out: Path
    overwrite: bool
    images: Sequence[Path]
    convert: bool
    split: str
    limit: int
    count: int
    name: str = ""


def find_images(job: Job) -> tuple[list[Path], int]:
    """The user's images, each once, and how many of the paths led to none.

    Those are named on the error output, as are subfolders that cannot be read.
    """
    found, failures = [], 0

    def unread(error):
        nonlocal failures
        failures += print_error(describe(error))

    for path in job.images:
        try:
            paths, left_out = image_files.find(path, unread)
            found += paths
            if left_out:
                tell(f"{path}: {counted(len(paths), 'image')}; left out: {left_out}")
        except (CaejaxError, OSError) as error:
            failures += print_error(describe(error))
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.parent.resolve() / path.name, path)
    return list(once.values()), failures


def read_picture(job: Job, path: Path) -> Picture:
    """Reads one of the user's images as the model needs it, (H, W, C).

    What is not in its values is printed.
    """
    channels = job.trained.model.shape[-1]
    picture = image_files.read(path, channels, convert=job.convert)
    for line in picture.notes:
        tell(f"{path}: {line}")
    return picture


def each(paths: Sequence[Path], work: Callable[[Path, Advance], None]) -> int:
    """Does something with every image; returns how many could not be done.

    Args:
      paths: The files of the images.
      work: Is called with the path, and a function to be told the share of the image
        that is done. Where it raises, the error is printed and the next one done; one
        that is the same for several images, of a flag for instance, is printed once.
    """
    failures, said = 0, collections.Counter()
    with counting_bar(len(paths), "images") as advance:
        for path in paths:
            try:
                work(path, advance)
            except Exception as error:
                if not is_foreseen(error):
                    raise
                failures += 1
                line = describe(error)
                if lacks_memory(error):
                    line = f"{path}: {line}"
                said[line] += 1
                if said[line] == 1:
                    print_error(line)
    if repeated := failures - len(said):
        print_error(f"the same for {repeated} more image{'s' * (repeated > 1)}")
    return failures


def load_images(job: Job) -> Split:
    """The job's part of the run's own data."""
    try:
        part = load_split(job.trained.config, job.split, job.trained.data)
    except CaejaxError as error:
        raise CaejaxError(_of_this_command(str(error), job.trained.config)) from None
    used = slice(job.limit or None)
    labels = None if part.labels is None else part.labels[used]
    return Split(part.images[used], labels)


def _of_this_command(line, config):
    """A line on the run's own data, which here a flag finds."""
    line = line.replace("set data.dir to", "give --data-dir=DIR,")
    mend = "" if "--data-dir" in line else "; --data-dir=DIR says where it lies now"
    return f"the data that the model was trained on, {config.data.source}: {line}{mend}"


def check_indices(indices: Sequence[int], count: int, flag: str) -> None:
    """Refuses indices of images that a split does not have."""
    for index in indices:
        if not 0 <= index < count:
            raise CaejaxError(
                f"{flag} names image {index}, but the split has those from 0 to "
                f"{count - 1}"
            )


def claim(
    job: Job,
    title: str,
    paths: Sequence[Path] = (),
    names: Iterable[str] = (),
    ends: Iterable[str] = ("png",),
) -> None:
    """Makes the output folder ready for a command's files.

    Args:
      job: Its folder is made ready.
      title: The name of the figure and its arrays.
      paths: The files of the images that are read.
      names: The names of other files.
      ends: How those end, each of them.
    """
    files = [f"{title}.png", f"{title}.npz"]
    files += [f"{name}.{end}" for name in names for end in ends]
    image_files.claim(job.out, files, paths, overwrite=job.overwrite)


def note_if_larger(
    trained: Trained, path: Path, image: np.ndarray, said: list[str]
) -> None:
    """Says of the first image that is far larger than all that a model has seen.

    Args:
      trained: A model; those that were trained on parts of images take any.
      path: The image's file.
      image: (H, W, C).
      said: What has been said of other images; it grows.
    """
    config, (height, width) = trained.config, image.shape[:2]
    own = trained.model.shape
    parts = config.train.crop_size or SOURCES[config.data.source].cut
    if said or parts or height <= 2 * own[0] or width <= 2 * own[1]:
        return
    said.append(
        f"{path} is {width}x{height}, and the model was trained on whole images of "
        f"{own[1]}x{own[0]} ({config.data.source}): of what is not like those it may "
        "make something else"
    )
    note(said[-1])


def write_output(
    job: Job, name: str, output: np.ndarray, like: Picture, suffix: str, floats: bool
) -> str:
    """Writes what came of one of the user's images.

    Args:
      job: To its folder.
      name: The name of its files.
      output: (H, W, C) in [0, 1].
      like: What the user's image was.
      suffix: "png" or "tif".
      floats: Whether an .npz file holds it unrounded, too.

    Returns:
      What was written, in words.
    """
    file = job.out / f"{name}.{suffix}"
    image_files.write(file, output, like)
    if not floats:
        return str(file)
    image_files.write_npz(job.out / f"{name}.npz", {"output": output})
    return f"{file} and .npz"


def write_arrays(job: Job, title: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes a command's arrays."""
    image_files.write_npz(job.out / f"{title}.npz", arrays)
    tell(f"wrote {job.out / title}.npz: {', '.join(arrays)}")


def write_figure(job: Job, title: str, draw: "Callable[[], Figure]") -> None:
    """Draws a command's figure and writes it."""
    with paper_style():
        save(draw(), job.out / title)
    tell(f"wrote {job.out / title}.png")


def title_of(path: Path, image: np.ndarray, model: str) -> str:
    """What stands above an image (H, W, C) of a file and what a model made of it."""
    height, width = image.shape[:2]
    by = f", by {model}" if model else ""
    return lines.printable(f"{path.name}, {width} x {height} pixels{by}")


def tell(line: str) -> None:
    """Prints a line; bytes of a file's name that are no text come out escaped."""
    lines.tell(line)


def small(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C), shrunk to what can be seen of it in a figure."""
    return reduce_image(image, max(1, min(image.shape[:2]) // _SHOWN_SIDE))
