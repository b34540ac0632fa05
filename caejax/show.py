"""What a config would run: its fields, runs, parameters and shapes."""

import math

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caejax import config as config_lib
from caejax.sweep.spec import SweepRun, expand
from caejax.train.task import model_from_config


def show(config: ConfigDict) -> None:
    """Prints the resolved config, the runs, and the model of the first."""
    runs = expand(config)
    console = Console(highlight=False)
    print(config_lib.to_json(config))
    if config.sweep:
        console.print(runs_table(runs))
    console.print(parameters_table(runs[0].config))


def parameter_count(config: ConfigDict) -> int:
    """Numbers in a run's parameters."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def parameter_shapes(config: ConfigDict) -> dict[str, tuple[int, ...]]:
    """Shapes of a run's parameters by path; nothing is computed."""
    model = model_from_config(config)
    images = jnp.zeros((1, *model.shape))
    params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in leaves}


def runs_table(runs: list[SweepRun]) -> Table:
    """A row for every run of a sweep."""
    table = Table("run", *runs[0].values, "params", title=f"{len(runs)} runs")
    for run in runs:
        values = (escape(str(value)) for value in run.values.values())
        table.add_row(run.id, *values, f"{parameter_count(run.config):,}")
    return table


def parameters_table(config: ConfigDict) -> Table:
    """Parameters of one run's model."""
    model = model_from_config(config)
    code = "x".join(map(str, model.code_shape))
    image = "x".join(map(str, model.shape))
    table = Table(
        "parameter", "shape", "count", title=f"{image} -> code {code} -> {image}"
    )
    for path, shape in parameter_shapes(config).items():
        table.add_row(path, "x".join(map(str, shape)), f"{math.prod(shape):,}")
    table.add_section()
    table.add_row("total", "", f"{parameter_count(config):,}")
    return table
