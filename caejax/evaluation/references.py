"""Other estimators on the noisy images that a folder's models were tested on."""

import functools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.ids import setting_id
from caejax.corruptions import CORRUPTIONS
from caejax.errors import CaejaxError, chosen
from caejax.evaluation.classical import CLASSICAL, denoise, missing_packages, tune
from caejax.evaluation.pca import Components, fit_components, project
from caejax.evaluation.posterior import posterior_mean
from caejax.evaluation.runs import FinishedRun, Row, Table, each, finished_runs
from caejax.files import finished
from caejax.files.atomic import replacing
from caejax.files.paths import Written, expand
from caejax.metrics.evaluator import compare
from caejax.metrics.noise import compiled_corruption, noise_key
from caejax.metrics.pictures import sample_indices
from caejax.metrics.probes import spread
from caejax.ops.images import as_float
from caejax.terminal.lines import tell, tell_parts
from caejax.terminal.notes import note
from caejax.training import recorded
from caejax.training.images import load_images
from caejax.training.recorded import Recorded
from caejax.training.task import corruption_from_config, model_from_config

REFERENCES = ("input", "pca", *CLASSICAL, "posterior")
_BATCH = 1000  # images at a time


class Setting(NamedTuple):
    """What noisy images depend on; runs that share it saw the same.

    Attributes:
      id: a hash of data, corruption and seed.
      columns: the values that tables show for the setting, by field.
      config: the config of one of its runs.
      data: what that run was trained on, if it is known.
      latents: the sizes of its models' codes, each with the values that tables show
        for it.
    """

    id: str
    columns: dict[str, Any]
    config: ConfigDict
    data: Recorded | None
    latents: dict[int, dict[str, Any]]


class Noisy(NamedTuple):
    """The first images of a split.

    Attributes:
      clean: the clean images, (N, H, W, C) in [0, 1].
      noisy: the same images under the noise that models are measured with.
    """

    clean: np.ndarray
    noisy: np.ndarray


def parse_references(words: Sequence[str]) -> list[str]:
    """Reads names of `REFERENCES`, or "all".

    Raises:
      CaejaxError: an unknown name, or one whose packages are not installed.
    """
    names = chosen(words, REFERENCES, "references")
    for name in names:
        if name in CLASSICAL and (missing := missing_packages(name)):
            raise CaejaxError(
                f"--references has {name!r}, which needs {' and '.join(missing)}: "
                'pip install "caejax[baselines]"'
            )
    return names


def measure_references(
    workdir: Written, names: Sequence[str], images: int = 0
) -> list[Row]:
    """Measures references on the test images of a run or a sweep.

    For each distinct data, corruption and seed, and PCA for each distinct size of
    the models' codes too. PCA is fitted to the clean training images and reduces the
    noisy ones. The posterior mean is that over the training images, and only there
    is Gaussian noise one. Classical ones are tuned on 200 images, evenly over the
    validation split, under its own noise, BM3D on 20; where the data have none, that is
    the test split, and tuned_on says so. Outputs are clipped to [0, 1].

    Args:
      workdir: the folder of a run or a sweep. references.csv in it gets a row for
        each measurement; rows already there are kept, unless no finished run saw
        their images.
      names: keys of `REFERENCES`.
      images: how many images of the test split the classical ones are given, evenly
        over it, or 0 for all; the other references are given all.

    What it makes of the examples that runs show is kept in the folder references/.

    Returns:
      All rows: reference, parameters (as tuned), setting, what is swept of data and
      corruption, corruption.name, corruption.level, seed, latent_size (PCA), images
      (of test_images), tuned_on, and what `compare` says of the outputs as test/psnr
      and so on.

    Raises:
      CaejaxError: no finished run.
    """
    workdir = expand(workdir, "workdir")
    settings = _settings(finished_runs(workdir))
    if not settings:
        raise CaejaxError(f"{workdir} has no run whose data are known")
    ids = {setting.id for setting in settings}
    table = Table(
        workdir / "references.csv",
        key=lambda row: (row["reference"], row["setting"], row.get("latent_size")),
        current=lambda row: row["setting"] in ids,
        columns=("reference", "setting", "corruption.name", "seed"),
        numbers=("corruption.level", "images", "test_images"),
    )

    varied = _varied(settings)

    def measure(setting):
        total = len(load_images(setting.config, setting.data)["test"])
        rows = list(_planned(setting, names, min(images or total, total), total))
        new = [row for row in rows if _is_new(row, table)]
        _measure(setting, new, table, workdir, varied)

    each(settings, lambda setting: _words(setting.columns), measure)
    return table.rows()


def _varied(settings):
    """The columns in which settings differ; a line that tells of one names these."""
    columns = {name: None for setting in settings for name in setting.columns}
    return [x for x in columns if len({str(s.columns.get(x)) for s in settings}) > 1]


def _is_new(row, table):
    old = table.find(row)
    return old is None or old["images"] != row["images"]


def _settings(runs: Sequence[FinishedRun]) -> list[Setting]:
    settings: dict[str, Setting] = {}
    for run in runs:
        config = run.config
        columns = {
            name: value
            for name, value in run.values.items()
            if name.split(".")[0] in ("data", "corruption")
        }
        columns["corruption.name"] = config.corruption.name
        columns["corruption.level"] = config.corruption.level
        columns["seed"] = config.seed
        name = setting_id(config.to_dict())
        if name not in settings:
            try:
                data = recorded.read(run.workdir)
            except CaejaxError as error:
                note(f"run {run.id} is left out: {error}")
                continue
            settings[name] = Setting(name, columns, config, data, {})
        setting = settings[name]
        size = math.prod(model_from_config(config).code_shape)
        given = config.model.get("latent_channels")  # not every kind of model has it
        channels = {"model.latent_channels": given} if given else {}
        # Codes of one size may have several numbers of channels.
        same = setting.latents.setdefault(size, channels) == channels
        setting.latents[size] = channels if same else {}
    return list(settings.values())


def _planned(setting, names, images, total) -> Iterator[Row]:
    corruption = setting.config.corruption
    bell = CORRUPTIONS[corruption.name].gaussian and corruption.level > 0
    for name in names:
        if name == "posterior" and not bell:
            tell(f"posterior  left out, no Gaussian noise: {_words(setting.columns)}")
            continue
        row = {"reference": name, "setting": setting.id, **setting.columns}
        count = {"images": images if name in CLASSICAL else total, "test_images": total}
        if name != "pca":
            yield row | count
            continue
        for size, columns in setting.latents.items():
            yield row | columns | {"latent_size": size} | count


def _words(columns):
    return "  ".join(f"{name}={value}" for name, value in columns.items())


def _measure(
    setting: Setting,
    rows: Sequence[Row],
    table: Table,
    workdir: Path,
    varied: Sequence[str],
) -> None:
    if not rows:
        return
    test = _noisy(setting.config, setting.data, "test", rows[0]["test_images"])
    for row in rows:
        part = Noisy(*(x[spread(len(x), row["images"])] for x in test))
        output, tuned = _estimate(setting, row, part.noisy)
        _keep_samples(workdir, row, output)
        values = compare(output, part.noisy, part.clean).values
        values = {f"test/{name}": value for name, value in values.items()}
        table.add(row | tuned | values)
        name, size = row["reference"], row.get("latent_size")
        name = f"{name} ({size:,} numbers)" if size else name
        psnr = f"test psnr {values['test/psnr']:.2f} dB"
        own = {x.split(".")[-1]: setting.columns.get(x) for x in varied}
        tell_parts(name, psnr, *(f"{x}={value}" for x, value in own.items()))


def _keep_samples(workdir, row, output):
    """Keeps outputs for the examples that runs show, if it was given all of them."""
    if row["images"] == row["test_images"]:
        path = finished.reference_samples(workdir, row)
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = np.clip(output[sample_indices(len(output))], 0, 1)
        with replacing(path) as file:
            np.savez_compressed(file, output=shown.astype(np.float32))


def _noisy(config: ConfigDict, data: Recorded | None, split: str, count: int) -> Noisy:
    images = load_images(config, data)[split]
    chosen = spread(len(images), count)
    images = images[chosen]
    corrupt = compiled_corruption(corruption_from_config(config))
    key = noise_key(config.seed, split)

    def some(first):
        batch = slice(first, first + _BATCH)
        index = jnp.asarray(chosen[batch], jnp.int32)
        return corrupt(key, images[batch], index, config.corruption.level)

    noisy = [np.asarray(some(first)) for first in range(0, len(images), _BATCH)]
    return Noisy(np.asarray(as_float(jnp.asarray(images))), np.concatenate(noisy))


def _estimate(setting, row, noisy) -> tuple[np.ndarray, Row]:
    """What a reference makes of noisy images, and how it was tuned."""
    name, config = row["reference"], setting.config
    if name == "input":
        return noisy, {}
    if name in CLASSICAL:
        count = CLASSICAL[name].tuning_images
        val = _noisy(config, setting.data, "val", count)
        best, _ = tune(name, val.noisy, val.clean)
        words = ", ".join(f"{name} {value:g}" for name, value in best.items())
        tuned = {"parameters": words, "tuned_on": _tuned_on(setting, len(val.clean))}
        return denoise(name, noisy, best), tuned
    train, found = (json.dumps(config.data.to_dict()), setting.data), {}
    if name == "pca":
        largest = max(setting.latents)
        components = _components(*train, min(largest, noisy[0].size))
        basis = components.basis[: row["latent_size"]]
        if len(basis) < row["latent_size"]:
            found["parameters"] = f"{len(basis)} components, in which all images vary"
        components = components._replace(basis=basis)
        estimate = functools.partial(project, components=components)
    else:
        level = config.corruption.level
        estimate = functools.partial(posterior_mean, train=_train(*train), sigma=level)
    parts = [noisy[i : i + _BATCH] for i in range(0, len(noisy), _BATCH)]
    parts = [np.asarray(estimate(jnp.asarray(x))) for x in parts]
    return np.concatenate(parts), found


def _tuned_on(setting, count):
    images = load_images(setting.config, setting.data)
    same = np.array_equal(images["val"], images["test"])
    return f"{count} {'test' if same else 'validation'} images"


@functools.lru_cache(maxsize=1)
def _components(section: str, data: Recorded | None, count: int) -> Components:
    """Components of the training images of a config's section data, as JSON."""
    return fit_components(np.asarray(_train(section, data)), count)


@functools.lru_cache(maxsize=1)
def _train(section: str, data: Recorded | None) -> jax.Array:
    config = config_lib.from_json(f'{{"data": {section}}}')
    return as_float(jnp.asarray(load_images(config, data)["train"]))
