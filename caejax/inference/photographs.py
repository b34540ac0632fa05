"""The user's noisy images, denoised and written as they came."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from caejax import weights
from caejax.errors import CaejaxError
from caejax.inference import any_size, image_files, trained
from caejax.inference.job import (
    Job,
    claim,
    each,
    find_images,
    note_if_larger,
    tell,
    title_of,
    write_figure,
    write_output,
)
from caejax.inference.noise_level import with_level
from caejax.inference.trained import Trained
from caejax.report import applied

_SUFFIX = {"png": "png", "tiff": "tif"}


class How(NamedTuple):
    """How images are denoised; see `caejax.inference.commands.denoise`."""

    level: float | None = None
    tile: int = 0
    memory: float | None = None
    ensemble: bool = False
    format: str = "png"
    floats: bool = True


def denoise(job: Job, how: How) -> int:
    """Writes each of the job's images denoised, and a sheet of the first ones.

    Returns:
      How many could not be done; each has been named on the error output.

    Raises:
      CaejaxError: no run is named, and nothing ships that could be used instead.
    """
    if job.trained is None and not weights.shipped():
        raise CaejaxError(
            f"--run is missing: this version of caejax {weights.what_ships()}; name a "
            "run that you have trained, --run=DIR"
        )
    paths, failures = find_images(job)
    if not paths:
        return failures
    names = dict(zip(paths, image_files.output_names(paths, ["denoised"]), strict=True))
    suffix = _SUFFIX[how.format]
    ends = (suffix, "npz") if how.floats else (suffix,)
    claim(job, "denoised", paths, names.values(), ends)
    models: dict[int, Trained] = {}
    shown: list[applied.Photograph] = []
    said: list[str] = []
    most = min(len(paths), job.count, applied.PHOTOGRAPHS)
    pixels = applied.PIXELS / max(1, most)

    def work(path, advance):
        picture, model = _read(job, path, models)
        note_if_larger(model, path, picture.values, said)
        output = run(model, picture.values, how, advance)
        made = write_output(job, names[path], output, picture, suffix, how.floats)
        name = job.name or weights.DENOISERS[model.model.shape[-1]]
        chosen = f", by {name}" * (job.trained is None)
        tell(f"wrote {made} of {path}{chosen}")
        if len(shown) < most:
            seen = picture.values.clip(0, 1)
            title = title_of(path, seen, name)
            shown.append(applied.photograph(seen, output, pixels, title))

    failures += each(paths, work)
    if shown:
        write_figure(job, "denoised", lambda: applied.photographs(shown, "denoised"))
    return failures


def _read(job, path, models):
    """A picture and its model: the job's, or that which ships for such pictures."""
    model = job.trained
    if model is None:
        channels = _shipped_for(path, convert=job.convert)
        if channels not in models:
            models[channels] = trained.find(weights.DENOISERS[channels])
        model = models[channels]
    channels, clip = model.model.shape[-1], model.config.corruption.clip
    picture = image_files.read(
        path, channels, convert=job.convert, noisy=True, clip=clip
    )
    for note in picture.notes:
        tell(f"{path}: {note}")
    return picture, model


def _shipped_for(path, *, convert):
    """The channels of the shipped model that takes a picture, converted if need be."""
    channels, there = image_files.channels_of(path), weights.shipped()
    if channels in there:
        return channels
    other, name = next(iter(there.items()))
    if convert:
        return other
    raise CaejaxError(
        f"{path} is a {weights.KINDS[channels]} image, and this version of caejax "
        f"{weights.what_ships()} alone; name a run, --run=DIR, or make it a "
        f"{weights.KINDS[other]} one for {name}, --convert"
    )


def run(
    model: Trained,
    image: np.ndarray,
    how: How,
    advance: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Denoises one image (H, W, C) in [0, 1] but for its noise."""
    tile = how.tile
    if how.memory is not None and not tile:
        tile = any_size.tile_of(model, how.memory)
    function = trained.reconstruct(model)
    seen = with_level(image[None], model.model.noise_map, how.level)[0]
    if not how.ensemble:
        return any_size.apply(function, model, seen, advance, tile)
    mean = None
    for number in range(8):
        turned = _turned(seen, number)
        output = any_size.apply(
            function, model, turned, lambda share: advance(share / 8), tile
        )
        output = _turned_back(output, number)
        mean = output / 8 if mean is None else mean + output / 8
    return mean.clip(0, 1)


def _turned(image, number):
    """The image turned by quarters, from 4 on flipped first."""
    image = image[:, ::-1] if number >= 4 else image
    return np.ascontiguousarray(np.rot90(image, number % 4))


def _turned_back(image, number):
    image = np.rot90(image, -(number % 4))
    return image[:, ::-1] if number >= 4 else image
