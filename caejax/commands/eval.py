"""`eval`: measures trained models again, and what to compare them with."""

import shlex

from caejax.commands.options import Options, needed_workdir
from caejax.errors import CaejaxError
from caejax.evaluation.levels import measure_levels, parse_levels
from caejax.evaluation.references import measure_references, parse_references
from caejax.evaluation.runs import relocate
from caejax.report.references import print_levels, print_references
from caejax.report.tables import print_essentials, print_values
from caejax.runtime.startup import start
from caejax.terminal.lines import tell
from caejax.training.loop import evaluate_again


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    if options.references or options.levels:
        return _compare(options)
    workdir = needed_workdir(options)
    start(cores=1, cache=options.cache)
    _find_data(options)
    values = evaluate_again(options.config, workdir)
    if options.all_values:
        print_values(values)
    else:
        print_essentials(values, "--all")
    return 0


def _find_data(options):
    if options.data_dir:
        relocate(needed_workdir(options), options.data_dir)


def _compare(options):
    """Measures references, and models at other levels, of a run or a sweep."""
    names, levels = parse_references(options.references), parse_levels(options.levels)
    if options.config is not None:
        raise CaejaxError(
            "--references and --levels take data and corruption from the runs; leave "
            "out --config"
        )
    workdir = needed_workdir(options)
    start(cores=1, cache=options.cache)
    _find_data(options)
    if names:
        print_references(measure_references(workdir, names, options.reference_images))
    if levels:
        print_levels(measure_levels(workdir, levels))
    command = shlex.join(["caejax", "report", f"--workdir={workdir}"])
    tell(f"`{command}` puts it into tables and figures")
    return 0
