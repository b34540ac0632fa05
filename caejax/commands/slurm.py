"""`slurm`: writes a batch script that runs a config or sweep on a Slurm cluster."""

import math
import re
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from caejax.commands.options import Options, needed_config, needed_workdir
from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically
from caejax.runtime.cores import usable_cores
from caejax.runtime.startup import NOTHING, start
from caejax.sweep.executors import find_executor
from caejax.sweep.spec import SweepRun, expand
from caejax.terminal.lines import duration, tell
from caejax.terminal.numbers import counted

SCRIPT = "slurm.sh"

# What other machines, and other people on them, may add to an estimate.
_MARGIN, _FIXED = 2.0, 600.0
_LONGEST = 24 * 3600.0  # seconds of a job; what takes longer is queued again
_JOB = 3600.0  # seconds of work for which a job more is asked for
_MOST_JOBS = 16
_MOST_CORES = 8
_WARNED = 120  # seconds before the limit


class Plan(NamedTuple):
    """What a batch script asks for.

    Attributes:
      title: what is done, in a few words.
      command: the command, as words of a shell.
      folder: the run's or sweep's folder, absolute.
      directory: the working directory of the command.
      jobs: how many jobs share the folder, or how many machines one job has.
      cores: the CPU cores of each.
      gpus: the GPUs of each; 0 for none.
      limit: the seconds after which a job is ended.
      why: where the limit comes from.
      cluster: whether one job has all machines, as a cluster of Ray.
      distributed: whether one job has all machines, as processes of one run.
    """

    title: str
    command: str
    folder: Path
    directory: Path
    jobs: int
    cores: int
    gpus: int
    limit: float
    why: str
    cluster: bool
    distributed: bool = False


def main(options: Options) -> int:
    """Does it; returns the exit code."""
    config, workdir = needed_config(options), needed_workdir(options)
    path = workdir.absolute() / SCRIPT
    plan = _plan(options, config, workdir.absolute())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, script(plan))
    tell(f"{plan.why[0].upper()}{plan.why[1:]}.")
    tell(f"wrote {path}; look through it, then: sbatch {shlex.quote(str(path))}")
    return 0


def _plan(options, config, folder):
    executor, settings = find_executor(config)
    sweep = bool(config.sweep)
    runs = expand(config)
    at_a_time, cores, gpus = 1, options.cores or len(usable_cores()), 0
    if sweep and not executor.here:
        at_a_time = min(settings["workers"] or _MOST_CORES, len(runs))
        cores = math.ceil(at_a_time * settings.get("cpus", 1.0))
        gpus = math.ceil(at_a_time * settings.get("gpus", 0.0))
    seconds, why = _seconds(options, config, runs, executor)
    distributed = options.processes is not None
    count = max(2, options.jobs) if distributed else 0
    count = count or _jobs(options.jobs, seconds, at_a_time, runs)
    return Plan(
        title=f"a sweep of {counted(len(runs), 'run')}" if sweep else "one run",
        command=_command(sys.argv, folder),
        folder=folder,
        directory=Path.cwd(),
        jobs=count,
        cores=cores,
        gpus=gpus,
        limit=time_limit(seconds, count * at_a_time),
        why=why,
        cluster=sweep and executor.spreads,
        distributed=distributed,
    )


def _seconds(options, config, runs, executor):
    """The seconds of all runs one after another, or None; and what that is from."""
    if options.calibrate is False:
        return None, "there was no calibration (--nocalibrate)"
    sweep = bool(config.sweep)
    here = executor.here or not sweep
    start(
        config.train.batch_size,
        cores=options.cores,
        core=None if here else usable_cores()[0],
        cache=False,
        environment=executor.environment if sweep else NOTHING,
    )
    # Only this trains, and needs what training does.
    from caejax.commands.estimate import measure, total_seconds

    together = sweep and executor.together
    tell("two short runs tell how long it takes ...")
    try:
        works, calibration = measure(runs, together=together)
    except CaejaxError as error:
        return None, f"there was no calibration: {error}"
    seconds = total_seconds(works, calibration, 1)
    return seconds, (
        f"one run after another takes about {duration(seconds)}, by a calibration of "
        f"{calibration.seconds:.1f} s on {socket.gethostname()}"
    )


def _jobs(wanted: int, seconds: float | None, at_a_time: int, runs: Sequence[SweepRun]):
    """How many jobs: as wanted, else one for every hour of work."""
    most = max(1, len(runs) // at_a_time)
    if wanted:
        return min(wanted, most)
    hours = math.ceil((seconds or 0) / at_a_time / _JOB)
    return max(1, min(hours, most, _MOST_JOBS))


def time_limit(seconds: float | None, at_a_time: int) -> float:
    """The seconds for which a job is asked.

    Args:
      seconds: how long all runs take one after another; None if that is not known.
      at_a_time: how many runs are done at a time, in all jobs together.

    Returns:
      Twice what each job has to do and ten minutes, in whole tens of minutes, and at
      most a day; what is not done by then goes on in the next job.
    """
    if seconds is None:
        return _LONGEST
    wanted = _MARGIN * seconds / at_a_time + _FIXED
    return min(_LONGEST, math.ceil(wanted / 600) * 600.0)


# Flags of this mode alone, which the command of the script goes without.
_OWN = ("mode", "jobs", "calibrate", "nocalibrate", "workdir")


def _command(argv, folder):
    """The command of the same flags that does the runs, its folder written out."""
    words, given = list(argv[1:]), []
    while words:
        word = words.pop(0)
        name, sign, _ = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in _OWN:
            given.append(word)
        elif not sign and "calibrate" not in name:
            words.pop(0)  # its value is a word of its own
    command = [sys.executable, "-m", "caejax.main", *given, f"--workdir={folder}"]
    return shlex.join(command)


def script(plan: Plan) -> str:
    """The batch script of a plan."""
    one = plan.cluster or plan.distributed or plan.jobs == 1
    output = "%j" if one else "%A_%a"
    parts = [_HEAD, "" if one else _ARRAY, _COMMON, _START, _END]
    if plan.distributed:
        parts = [_HEAD, _MACHINES, _COMMON, _START, _END]
    if plan.cluster:
        parts = [_HEAD, _MACHINES, _COMMON, _CLUSTER, _START, _END]
    minutes = math.ceil(plan.limit / 60)
    values = {
        "title": plan.title,
        "how": _how(plan),
        "why": plan.why,
        "name": re.sub(r"[^\w.-]+", "_", plan.folder.name) or "caejax",
        "jobs": plan.jobs,
        "cores": plan.cores,
        "gpu": f"#SBATCH --gres=gpu:{plan.gpus}"
        if plan.gpus
        else "##SBATCH --gres=gpu:1",
        "gpus": plan.gpus,
        "limit": f"{minutes // 60:02}:{minutes % 60:02}:00",
        "warned": _WARNED,
        "output": f"{plan.folder}/slurm-{output}.out".replace(" ", "\\ "),
        "file": shlex.quote(str(plan.folder / SCRIPT)),
        "directory": shlex.quote(str(plan.directory)),
        "python": shlex.quote(sys.executable),
        # Which passes signals on to all processes.
        "command": f"srun {plan.command}" if plan.distributed else plan.command,
    }
    return "".join(part.format(**values) for part in parts)


def _how(plan):
    if plan.cluster:
        return (
            f"on one Ray cluster of {counted(plan.jobs, 'machine')}: its "
            "first runs the command,\n# which gives the others runs to do"
        )
    if plan.distributed:
        return f"by one process on each of {plan.jobs} machines"
    if plan.jobs > 1:
        return (
            f"by {plan.jobs} jobs on one folder: each takes runs that no other has\n"
            "# taken, and those of a job that is lost"
        )
    return "by one job"


_HEAD = """\
#!/bin/bash
# {title}, {how}.
#     sbatch {file}
# The time is an estimate: {why}.
# The same script may be submitted again at any time: what is done is not done again.
#SBATCH --job-name={name}
"""
_ARRAY = """\
#SBATCH --array=1-{jobs}
"""
_MACHINES = """\
#SBATCH --nodes={jobs}
#SBATCH --ntasks-per-node=1
"""
_COMMON = """\
#SBATCH --cpus-per-task={cores}
# A GPU: without the second # of what is written as ##SBATCH.
{gpu}
##SBATCH --mem-per-cpu=4G
##SBATCH --partition=NAME
##SBATCH --account=NAME
#SBATCH --time={limit}
# This script hears SIGUSR1 so many seconds before the limit, to save checkpoints.
#SBATCH --signal=B:USR1@{warned}
# Where a node is lost or the job is preempted, Slurm queues it again.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={output}

# Modules and environments come here.
cd {directory} || exit 1
"""
_CLUSTER = """\

# The cluster: its head on this machine, and a part on every other.
ray=$(dirname {python})/ray
head=$(hostname)
export RAY_ADDRESS=$head:$((20000 + SLURM_JOB_ID % 20000))
export RAY_USAGE_STATS_ENABLED=0
join() {{
    srun --overlap --ntasks="$1" --nodes="$1" --ntasks-per-node=1 "${{@:2}}" \\
        --num-cpus={cores} --num-gpus={gpus} --block &
}}
join 1 --nodelist="$head" "$ray" start --head --port="${{RAY_ADDRESS#*:}}" \\
    --include-dashboard=false
until "$ray" status >/dev/null 2>&1; do sleep 1; done
if [ "$SLURM_NNODES" -gt 1 ]; then
    join $((SLURM_NNODES - 1)) --exclude="$head" "$ray" start --address="$RAY_ADDRESS"
fi
{python} - <<'EOF'
import os, time, ray
ray.init(log_to_driver=False)
until = time.monotonic() + 120
while len(ray.nodes()) < int(os.environ["SLURM_NNODES"]) and time.monotonic() < until:
    time.sleep(1)
EOF
"""
_START = """\

{command} &
command=$!
# Signals go on to the command, which saves its checkpoints and ends.
trap 'kill -USR1 $command' USR1
trap 'kill -TERM $command' TERM
# A signal ends the wait, not the command: once it has ended, its own code is asked for.
while wait $command; kill -0 $command 2>/dev/null; do :; done
wait $command
code=$?
"""
_END = """\

# Exit codes 138 and 143, of SIGUSR1 and SIGTERM, ask for the job to be queued again;
# not so where somebody has cancelled it.
if [ $code = 138 ] || [ $code = 143 ]; then
    state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)
    if [ "$state" = RUNNING ]; then scontrol requeue "$SLURM_JOB_ID"; fi
fi
exit $code
"""
