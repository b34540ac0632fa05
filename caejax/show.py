"""What a config would run: its fields, runs, shapes, FLOPs and the time it takes."""

import math

import jax
from ml_collections import ConfigDict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.estimate import calibrate, image_flops, total_seconds, variable_shapes, work
from caejax.sweep.progress import duration
from caejax.sweep.spec import SweepRun, expand
from caejax.train import group
from caejax.train.task import model_from_config


def show(config: ConfigDict, workers: int = 1, calibrated: bool | None = None) -> None:
    """Prints the resolved config, the runs, the model of the first, and the time.

    Args:
      config: of a run or a sweep.
      workers: runs at a time.
      calibrated: estimate the time; None does so for sweeps.
    """
    runs = expand(config)
    console = Console(highlight=False)
    print(config_lib.to_json(config))
    if config.sweep:
        console.print(runs_table(runs))
    console.print(parameters_table(runs[0].config))
    if config.sweep if calibrated is None else calibrated:
        together = bool(config.sweep) and config.executor.name == "vmap"
        print("two short runs tell how long it takes ...", flush=True)
        print(time_line(runs, workers, together=together))


def time_line(runs: list[SweepRun], workers: int, *, together: bool = False) -> str:
    """A sentence on how long the runs take, or why that is not known.

    Args:
      runs: one, or those of a sweep.
      workers: runs at a time.
      together: those that share a program are trained by `vmap`.
    """
    try:
        works = [work(run.config) for run in runs]
        if together:
            works = [x._replace(task=group.shared(x.task)) for x in works]
        calibration = calibrate(runs[0].config)
    except CaejaxError as error:
        return f"no estimate of the time: {error}"
    seconds = total_seconds(works, calibration, workers)
    how = f", {workers} runs at a time" if workers > 1 else ""
    if together:
        how = ", run after run; together they take less on an accelerator"
    return (
        f"takes about {duration(seconds)} on this machine ({_hardware(workers)}{how}), "
        f"from a calibration of {calibration.seconds:.1f} s"
    )


def _hardware(workers):
    device, count = jax.devices()[0], jax.device_count()
    if device.platform != "cpu":
        return f"{count} x {device.device_kind}"
    cores = workers * count
    return f"{cores} core{'s' * (cores > 1)}"


def parameter_count(config: ConfigDict) -> int:
    """Numbers in a run's parameters."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def parameter_shapes(config: ConfigDict) -> dict[str, tuple[int, ...]]:
    """Shapes of a run's parameters by path; nothing is computed."""
    params = variable_shapes(model_from_config(config))["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in leaves}


def runs_table(runs: list[SweepRun]) -> Table:
    """A row for every run of a sweep."""
    columns = ("params", "FLOPs an image")
    table = Table("run", *runs[0].values, *columns, title=f"{len(runs)} runs")
    for run in runs:
        values = (escape(str(value)) for value in run.values.values())
        flops = image_flops(model_from_config(run.config))
        table.add_row(
            run.id, *values, f"{parameter_count(run.config):,}", f"{flops:,.0f}"
        )
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
    table.add_row("FLOPs of an image's forward pass", "", f"{image_flops(model):,.0f}")
    return table
