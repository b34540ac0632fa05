"""`show`: prints what would be run and about how long it takes, without training."""

from rich.console import Console

from caejax import config as config_lib
from caejax.commands.options import Options, needed_config
from caejax.commands.shown import parameters_table, runs_table
from caejax.runtime.devices import usable_cores
from caejax.runtime.startup import NOTHING, start
from caejax.sweep.executors import find_executor
from caejax.sweep.spec import expand
from caejax.terminal.lines import tell
from caejax.training.images import load_data
from caejax.training.memory import check_memory


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    config = needed_config(options)
    executor, settings = find_executor(config)
    here = executor.here or not config.sweep
    # The calibration is to run as the runs will.
    start(
        config.train.batch_size,
        cores=options.cores,
        core=None if here else usable_cores()[0],
        cache=False,
        environment=executor.environment if config.sweep else NOTHING,
    )
    runs = expand(config)
    for run in runs:
        check_memory(run.config)
    console = Console(highlight=False)
    print(config_lib.to_json(config))
    if config.sweep:
        console.print(runs_table(runs))
    console.print(parameters_table(runs[0].config))
    if bool(config.sweep) if options.calibrate is None else options.calibrate:
        # Only this trains, and needs what training does.
        from caejax.commands.estimate import time_line

        workers = executor.at_a_time(**settings) if config.sweep else 1
        together = bool(config.sweep) and executor.together
        if line := load_data(runs[0].config).recorded.note:
            tell(line)
        print("two short runs tell how long it takes ...", flush=True)
        print(time_line(runs, workers, together=together))
    return 0
