"""`show`: prints what would be run and, if asked, about how long it takes.

What the runs of a sweep differ in comes last, where it is seen, and the hundred lines
of a config only when they are asked for.
"""

from caejax import config as config_lib
from caejax.commands.options import Options, needed_config
from caejax.commands.shown import print_changed, print_parameters, print_runs
from caejax.runtime.cores import usable_cores
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
    if options.all_values:
        print(config_lib.to_json(config))
    else:
        print_changed(config, runs[0].values)
    print_parameters(runs)
    if config.sweep:
        print_runs(runs)
    if options.calibrate:
        # Only this trains, and needs what training does.
        from caejax.commands.estimate import time_line

        workers = executor.at_a_time(**settings) if config.sweep else 1
        together = bool(config.sweep) and executor.together
        if line := load_data(runs[0].config).recorded.note:
            tell(line)
        print("two short runs tell how long it takes ...", flush=True)
        tell(time_line(runs, workers, together=together))
    else:
        print("--calibrate tells how long it takes, from two short runs")
    return 0
