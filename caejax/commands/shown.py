"""Tables of what a config would run."""

import math
from collections.abc import Collection, Sequence

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config import SWITCHES
from caejax.config.values import shown
from caejax.models.size import image_flops, parameter_count, parameter_shapes
from caejax.sweep.spec import SweepRun
from caejax.terminal.lines import tell
from caejax.terminal.numbers import counted
from caejax.terminal.tables import print_table
from caejax.training.task import model_from_config


def print_changed(config: ConfigDict, swept: Collection[str]) -> None:
    """Prints the fields of a config that are not at their defaults, and not swept.

    The default is that of what is chosen: of the config's own corruption, for instance.
    """
    config, usual = config_lib.resolve(config), config_lib.default()
    chosen = config_lib.default()
    config_lib.override_all(chosen, {x: config_lib.get(config, x) for x in SWITCHES})
    changed = []
    for field in config_lib.field_names(config):
        if field in swept or field.startswith("sweep."):
            continue
        value = config_lib.get(config, field)
        if value != config_lib.get(usual if field in SWITCHES else chosen, field):
            changed.append(f"  {field} = {shown(value)}")
    neither = ", nor swept" if swept else ""
    tell(f"fields not at their defaults{neither}; --all prints all:")
    for line in changed or ["  none"]:
        tell(line)
    print()


def print_runs(runs: list[SweepRun]) -> None:
    """Prints a row for every run of a sweep."""
    fields = [field.split(".")[-1] for field in runs[0].values]
    print_table(
        ("run", *fields, "params", "FLOPs (an image)"),
        [(run.id, *map(str, run.values.values()), *_size(run.config)) for run in runs],
        above=counted(len(runs), "run"),
    )


def _size(config):
    model = model_from_config(config)
    return f"{parameter_count(model):,}", f"{image_flops(model):,.0f}"


def print_parameters(runs: Sequence[SweepRun]) -> None:
    """Prints the parameters of the first run's model, and says whose they are."""
    config = runs[0].config
    model = model_from_config(config)
    code = "x".join(map(str, model.code_shape))
    image = "x".join(map(str, model.shape))
    params, flops = _size(config)
    print_table(
        ("parameter", "shape", "count"),
        [
            *(
                (path, "x".join(map(str, shape)), f"{math.prod(shape):,}")
                for path, shape in parameter_shapes(model).items()
            ),
            ("total", "", params),
        ],
        above=f"{_whose(runs)}{image} -> code {code} -> {image}",
        below=f"FLOPs of an image's forward pass: {flops}",
    )


def _whose(runs):
    """The run whose model is told of, and whether others have another one."""
    if len(runs) == 1:
        return ""
    models = {
        str((run.config.model, run.config.data.image_size, run.config.data.channels))
        for run in runs
    }
    others = "others have other models" if len(models) > 1 else "as all others"
    return f"model of run {runs[0].id} ({others}):\n"
