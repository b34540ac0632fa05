"""The commands of `caejax.apply`: each reads images, asks the model and writes.

Every command returns how many of the user's images it could not do; each of
those has been named on the error output, and the others are done.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from caejax.corruptions import CORRUPTIONS
from caejax.errors import CaejaxError
from caejax.inference import any_size, image_files, mixture, photographs, trained
from caejax.inference.job import (
    Job,
    check_indices,
    claim,
    each,
    find_images,
    load_images,
    note_if_larger,
    read_picture,
    small,
    tell,
    title_of,
    write_arrays,
    write_figure,
    write_output,
)
from caejax.inference.neighbours import nearest
from caejax.inference.noise_level import with_level
from caejax.inference.trained import in_batches
from caejax.metrics.units import GREYS
from caejax.ops.images import as_float
from caejax.report import applied
from caejax.terminal.bars import counting_bar
from caejax.terminal.numbers import counted

_MOST_ENTRIES = 10**8  # in a mixture's covariances


def reconstruct(job: Job, *, floats: bool = True) -> int:
    """Writes what the model makes of images, and a figure of both.

    Args:
      job: what every command is told.
      floats: whether what comes of the user's images is written unrounded, too.
    """
    if job.images:
        return _apply_to_files(job, "reconstructions", "reconstruction", floats)
    _refuse_flags({"--nofloats": not floats})
    return _apply_to_split(job, "reconstructions", "reconstruction")


def denoise(
    job: Job,
    *,
    level: float | None = None,
    tile: int = 0,
    memory: float | None = None,
    ensemble: bool = False,
    format: str = "png",
    floats: bool = True,
) -> int:
    """Writes noisy images denoised: the user's as they are, or a corrupted split.

    Args:
      job: what every command is told.
      level: the level that a model with a noise map is told, of 255; None to estimate
        that of each of the user's images, or for that of the run's own corruption.
      tile: the side of the tiles that the user's images are done in; 0 by memory.
      memory: MiB for a tile; None for the default.
      ensemble: whether the mean of all eight flips and rotations is taken.
      format: of the user's images, "png" or "tiff".
      floats: whether these are written unrounded, too.
    """
    if job.images:
        how = photographs.How(level, tile, memory, ensemble, format, floats)
        return photographs.denoise(job, how)
    flags = {
        "--tile": tile,
        "--memory": memory,
        "--ensemble": ensemble,
        "--format": format != "png",
        "--nofloats": not floats,
    }
    _refuse_flags(flags)
    if job.trained is None:
        raise CaejaxError(
            "there is nothing to denoise: name your images, or the run whose own data "
            "are to be denoised, --run=DIR"
        )
    return _apply_to_split(job, "denoised", "denoised", level)


def _refuse_flags(flags):
    """Refuses the flags given that say how the user's images are done."""
    for flag in filter(flags.get, flags):
        raise CaejaxError(f"{flag} is for images of yours; name some, or leave it out")


def _apply_to_files(job, title, row, floats):
    paths, failures = find_images(job)
    if not paths:
        return failures
    names = dict(zip(paths, image_files.output_names(paths, [title]), strict=True))
    claim(job, title, paths, names.values(), ("png", "npz") if floats else ("png",))
    model = trained.reconstruct(job.trained)
    shown: list[applied.Photograph] = []
    said: list[str] = []
    most = min(len(paths), job.count, applied.PHOTOGRAPHS)
    pixels = applied.PIXELS / max(1, most)

    def work(path, advance):
        picture = read_picture(job, path)
        image = picture.values
        note_if_larger(job.trained, path, image, said)
        seen = with_level(image[None], job.trained.model.noise_map)[0]
        output = any_size.apply(model, job.trained, seen, advance)
        made = write_output(job, names[path], output, picture, "png", floats)
        tell(f"wrote {made} of {path}")
        if len(shown) < most:
            name = title_of(path, image, job.name)
            shown.append(applied.photograph(image, output, pixels, name))

    failures += each(paths, work)
    if shown:
        write_figure(job, title, lambda: applied.photographs(shown, row))
    return failures


def _apply_to_split(job, title, row, level=None):
    claim(job, title)
    part = load_images(job)
    arrays = {"original": as_float(part.images)}
    indices = np.arange(len(part.images))
    inputs, corruption = part.images, job.trained.config.corruption
    if CORRUPTIONS[corruption.name].changes:
        corrupt = trained.corrupt(job.trained, job.split)
        inputs = np.stack(list(in_batches(corrupt, inputs, indices)))
        arrays["input"] = inputs
    model, noise_map = trained.reconstruct(job.trained), job.trained.model.noise_map
    if noise_map and level is None:
        level = GREYS * corruption.level
    seen = with_level(as_float(inputs) if noise_map else inputs, noise_map, level)
    with counting_bar(len(inputs), f"{job.split} images") as advance:
        outputs = in_batches(model, seen, advance=advance)
        arrays["output"] = np.stack(list(outputs))
    names = {"input": f"{corruption.name}\n{corruption.level:g}", "output": row}
    shown = {names.get(name, name): x[: job.count] for name, x in arrays.items()}
    write_arrays(job, title, {**arrays, "indices": indices, **_labels(part)})
    write_figure(job, title, lambda: applied.rows(shown))
    return 0


def _labels(part):
    return {} if part.labels is None else {"labels": part.labels}


class _Coded(NamedTuple):
    """Images that have been encoded.

    Attributes:
      codes: (n, ...).
      about: Arrays that say whose the codes are, by name.
      shown: The indices of the codes to be drawn.
      pictures: The images of the codes to be drawn.
    """

    codes: np.ndarray
    about: dict[str, np.ndarray]
    shown: np.ndarray
    pictures: Sequence[np.ndarray]


def _encode_split(job, part):
    """Codes of a split, as they are, of clean images."""
    model = trained.encode(job.trained)
    with counting_bar(len(part.images), f"{job.split} images") as advance:
        codes = np.stack(list(in_batches(model, part.images, advance=advance)))
    shown = np.arange(len(codes))[: job.count]
    about = {"indices": np.arange(len(codes)), **_labels(part)}
    return _Coded(codes, about, shown, as_float(part.images[shown]))


def _encode_files(job, paths):
    """Codes of the user's images, tile by tile, and how many could not be done."""
    model = trained.encode(job.trained)
    codes, corners, done, pictures = [], [], [], []

    def work(path, advance):
        image = read_picture(job, path).values
        new, places = any_size.encode(model, job.trained, image, advance)
        first = sum(map(len, codes))
        for i in _spread(len(new), job.count):
            tile = any_size.own_tile(job.trained, image, places[i])
            pictures.append((first + i, tile))
        codes.append(new)
        corners.append(places)
        done.append(path)

    failures = each(paths, work)
    if not done:
        return None, failures
    about = {
        "indices": np.repeat(np.arange(len(done)), [len(new) for new in codes]),
        "corners": np.concatenate(corners),
        "files": np.array([str(path) for path in done]),
    }
    chosen = [pictures[i] for i in _spread(len(pictures), job.count)]
    shown, pictures = zip(*chosen, strict=True)
    return _Coded(np.concatenate(codes), about, np.array(shown), pictures), failures


def _spread(count, most):
    """At most so many indices, evenly spread over range(count)."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def encode(job: Job) -> int:
    """Writes the codes of images, and a figure of some."""
    paths, failures = find_images(job)
    if job.images and not paths:
        return failures
    claim(job, "codes", paths)
    if paths:
        coded, broken = _encode_files(job, paths)
        failures += broken
    else:
        coded = _encode_split(job, load_images(job))
    if coded is not None:
        write_arrays(job, "codes", {"codes": coded.codes, **coded.about})
        pictures, codes = coded.pictures, coded.codes[coded.shown]
        write_figure(job, "codes", lambda: applied.codes(pictures, codes))
    return failures


def neighbours(job: Job, *, k: int, query: Sequence[int]) -> int:
    """Writes which images of a split have the codes nearest to those of others.

    Args:
      job: Its images, if the user has named any, are the queries.
      k: The number of neighbours.
      query: The indices of the queries in the split; empty for the first few.
    """
    paths, failures = find_images(job)
    if job.images and not paths:
        return failures
    if paths and query:
        raise CaejaxError("--query names images of the split; leave it or yours out")
    claim(job, "neighbours", paths)
    part = load_images(job)
    others = len(part.images) - (not paths)
    if k > others:
        raise CaejaxError(f"--k is {k}, but the split has only {others} to choose from")
    own = None if paths else np.array(query or range(min(job.count, 1 + others)))
    if own is not None:
        check_indices(own, len(part.images), "--query")
    everything = _encode_split(job, part)
    if own is not None:
        queries = _select(everything, own, part)
    else:
        queries, broken = _encode_files(job, paths)
        failures += broken
    if queries is not None:
        _write_neighbours(job, queries, everything, part, k, own)
    return failures


def _select(everything, own, part):
    """The codes of a few images of a split."""
    about = {name: array[own] for name, array in everything.about.items()}
    shown = np.arange(len(own))
    return _Coded(everything.codes[own], about, shown, as_float(part.images[own]))


def _write_neighbours(job, queries, everything, part, k, own):
    flat = [codes.reshape(len(codes), -1) for codes in (queries[0], everything[0])]
    found, distances = nearest(*flat, k, own)
    arrays = {"indices": found, "distances": distances}
    if part.labels is not None:
        arrays["labels"] = part.labels[found]
    arrays |= {f"query_{name}": array for name, array in queries.about.items()}
    write_arrays(job, "neighbours", arrays)
    shown = queries.shown
    near = as_float(part.images[found[shown]])
    write_figure(
        job,
        "neighbours",
        lambda: applied.neighbours(queries.pictures, near, distances[shown]),
    )


def sample(job: Job, *, components: int, covariance: str, seed: int) -> int:
    """Writes what the decoder makes of codes drawn like those of a split.

    Draws are clipped to the range of the split's codes, unit by unit, so that codes
    that cannot be negative, for instance, are not.

    Args:
      job: As many codes are drawn as it shows pictures.
      components: The number of Gaussians in the mixture fitted to the codes.
      covariance: "full", or "diagonal": a component's units are independent.
      seed: The seed of the fit and the draws.
    """
    claim(job, "samples")
    part = load_images(job)
    shape, diagonal = job.trained.model.code_shape, covariance == "diagonal"
    entries = components * np.prod(shape) ** 2
    if not diagonal and entries > _MOST_ENTRIES:
        raise CaejaxError(
            f"{components} full covariances of {np.prod(shape)} units are too large; "
            "add --covariance=diagonal or lower --components"
        )
    if components > len(part.images):
        raise CaejaxError(
            f"--components is {components}, but the split has only "
            f"{counted(len(part.images), 'image')}"
        )
    codes = _encode_split(job, part).codes.reshape(len(part.images), -1)
    rng = np.random.default_rng(seed)
    with counting_bar(mixture.STEPS, "EM steps, at most") as advance:
        fitted, likelihood = mixture.fit(
            codes, components, diagonal=diagonal, rng=rng, advance=advance
        )
    drawn = mixture.draw(fitted, job.count, rng).clip(codes.min(0), codes.max(0))
    drawn = drawn.astype(np.float32).reshape(-1, *shape)
    images = np.stack(list(in_batches(trained.decode(job.trained), drawn)))
    arrays = {"images": images, "codes": drawn, **fitted._asdict()}
    write_arrays(job, "samples", {**arrays, "log_likelihood": np.array(likelihood)})
    write_figure(job, "samples", lambda: applied.sheet(images))
    return 0


def interpolate(job: Job, *, between: tuple[int, int] | None, steps: int) -> int:
    """Writes images decoded between the codes of two.

    Args:
      job: Its images, if the user has named any, are the two.
      between: The indices of the two in the split; by default the first two.
      steps: The number of images, the reconstructions of the two included.
    """
    paths, failures = find_images(job)
    if failures:
        return failures
    if job.images and len(paths) != 2:
        raise CaejaxError(
            f"interpolate needs two different images, and there are {len(paths)}"
        )
    if paths and between:
        raise CaejaxError("--between names images of the split; leave it or yours out")
    claim(job, "interpolation", paths)
    if paths:
        ends = [read_picture(job, path).values for path in paths]
        about = {"files": np.array([str(path) for path in paths])}
    else:
        part, between = load_images(job), between or (0, 1)
        check_indices(between, len(part.images), "--between")
        ends = list(as_float(part.images[list(between)]))
        about = {"indices": np.array(between)}
    if ends[0].shape != ends[1].shape:
        sizes = " and ".join(f"{x.shape[0]}x{x.shape[1]}" for x in ends)
        raise CaejaxError(
            f"the two images are {sizes} (height x width); give two of one size"
        )
    weights = tuple(np.linspace(0, 1, steps).tolist())
    model = trained.interpolate(job.trained, weights)
    with counting_bar(1, "tiles") as advance:
        pair = np.concatenate(ends, axis=-1)
        mixed = any_size.apply(model, job.trained, pair, advance)
    images = np.stack(np.split(mixed, steps, axis=-1))
    arrays = {"images": images, "weights": np.array(weights), "ends": np.stack(ends)}
    write_arrays(job, "interpolation", {**arrays, **about})
    shown = [small(image) for image in images]
    pair = tuple(small(image) for image in ends)
    write_figure(
        job, "interpolation", lambda: applied.interpolation(pair, shown, weights)
    )
    return 0
