"""What a run in a sweep takes besides its training, by phase, and whole commands.

    python -m experiments.speed.overhead

The quickstart's model with six kinds of decoder, two seeds each, by `serial`: of each
kind the first run has a new decoder, and the second finds its program compiled. The
sweep is done from an empty compilation cache and again, in another folder, from the
full one. Then whole commands, timed from outside, runs of the first two kinds among
them. Writes overhead.json and
overhead.md; `--name=NAME` writes NAME.json and NAME.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from caejax.files.atomic import write_atomically, write_json
from caejax.report.tables import to_markdown
from experiments.shared.commands import (
    ROOT,
    create_parser,
    environment,
    module_command,
    run_module,
)

KINDS = ("deconv_k3", "deconv_k4", "nearest_k3", "bilinear_k3", "shuffle_k3")
KINDS += ("bilinear_additive",)
CONFIG = ROOT / "configs" / "quickstart.py"
# In the order of the table; the last two are once a command, the others once a run.
PHASES = (
    "data",
    "initialisation",
    "step: tracing",
    "step: compiling",
    "training",
    "evaluation",
    "probes",
    "pictures",
    "checkpoints",
    "rows and TensorBoard",
    "the rest",
    "imports and start",
    "figures",
)
STATES = ("new decoder, empty cache", "new decoder, full cache", "compiled already")
GOALS = dict(zip(STATES, (7, 3, 1.5), strict=True))

Seconds = dict[str, float]


def sweep(folder: Path, kinds: Sequence[str], out: Path) -> None:
    """Does the sweep in this process, and writes seconds by phase of each run."""
    began = time.perf_counter()
    import caejax.commands.run as command
    from caejax.config import override
    from caejax.config.load import load_config
    from caejax.sweep.executors import serial, start_for
    from caejax.sweep.run import run_sweep
    from experiments.speed.phases import Clock

    clock = Clock()
    _watch(clock)
    config = load_config(str(CONFIG))
    override(config, "sweep.decoder.values", tuple(kinds))
    config.references = ()
    start_for(config)
    runs: list[dict[str, Any]] = []
    attempt = serial.attempt

    def watched(run, *args):
        clock.take()
        state = attempt(run, *args)
        phases = {name: phase._asdict() for name, phase in clock.take().items()}
        runs.append({"run": run.values, "state": state, "phases": phases})
        return state

    serial.attempt = watched
    imports = time.perf_counter() - began
    run_sweep(config, folder)
    clock.take()
    drawing = time.perf_counter()
    command.report(folder)
    once = {"imports and start": imports, "figures": time.perf_counter() - drawing}
    write_json(out, {"once": once, "runs": runs})


def _watch(clock):
    """Wraps what makes the phases; each name is one that `training.loop` uses."""
    from caejax.metrics import evaluator
    from caejax.training import loop, run

    def steps(request, pace):
        return "training" if request.stop else "step"

    wrapped: tuple[tuple[Any, str, str | Callable[..., str]], ...] = (
        (run, "load_data", "data"),
        (loop, "new_state", "initialisation"),
        (loop, "initial_state", "initialisation"),
        (loop, "_answer", steps),
        (loop, "measured", "evaluation"),
        (evaluator, "probe", "probes"),
        (loop, "samples", "pictures"),
        *((loop.Checkpoints, name, "checkpoints") for name in _CHECKPOINTS),
        *((loop.MetricsWriter, name, "rows and TensorBoard") for name in _ROWS),
    )
    for holder, name, phase in wrapped:
        setattr(holder, name, clock.within(phase, getattr(holder, name)))


_CHECKPOINTS = (
    "__init__",
    "save",
    "save_stopped",
    "restore",
    "restore_best",
    "__exit__",
)
_ROWS = ("write", "__exit__")


def seconds_by_phase(phases: dict[str, dict[str, float]]) -> Seconds:
    """Seconds by the names of `PHASES`, of one run."""
    phases = dict(phases)
    step = phases.pop("step", {"seconds": 0.0, "tracing": 0.0})
    found = {name: phase["seconds"] for name, phase in phases.items()}
    found["step: tracing"] = step["tracing"]
    found["step: compiling"] = step["seconds"] - step["tracing"]
    return found


def by_state(sweeps: dict[str, Any]) -> dict[str, Seconds]:
    """Means over the kinds, by the names of `STATES`: phases, sums, programs.

    Args:
      sweeps: what `sweep` has written from the empty and from the full cache.
    """
    runs = {
        STATES[0]: sweeps["empty"]["runs"][::2],
        STATES[1]: sweeps["full"]["runs"][::2],
        STATES[2]: [x for s in sweeps.values() for x in s["runs"][1::2]],
    }
    return {state: _mean_of(chosen) for state, chosen in runs.items()}


def _mean_of(runs):
    found = [seconds_by_phase(run["phases"]) for run in runs]
    means = {name: mean(x.get(name, 0.0) for x in found) for name in PHASES[:-2]}
    parts = [list(run["phases"].values()) for run in runs]
    return {
        **means,
        "beyond training": sum(means.values()) - means["training"],
        "tracing, all of it": mean(sum(p["tracing"] for p in x) for x in parts),
        "compiling, all of it": mean(sum(p["compiling"] for p in x) for x in parts),
        "programs": mean(sum(p["programs"] for p in x) for x in parts),
        "beyond training, of all cores": mean(
            sum(p["cpu"] for name, p in run["phases"].items() if name != "training")
            for run in runs
        ),
    }


def command_seconds(words: Sequence[str], cache: Path | None = None) -> float:
    """Wall time of a command of caejax."""
    added = {"JAX_COMPILATION_CACHE_DIR": str(cache)} if cache else {}
    began = time.perf_counter()
    subprocess.run(
        words, stdout=subprocess.DEVNULL, check=True, env=environment(**added)
    )
    return time.perf_counter() - began


def commands(kinds: Sequence[str], repeats: int) -> Seconds:
    """Medians of whole commands: a run of each of the kinds, `show`, and help."""
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder, "single.py")
        single.write_text(_SINGLE)
        main = [*module_command("caejax.main"), f"--config={single}"]
        for kind in kinds:
            for times in (cold, warm):
                words = f"--config.model.upsampling={kind}", f"--workdir={folder}/run"
                run = command_seconds([*main, *words], Path(folder, kind))
                times.append(run)
                subprocess.run(["rm", "-r", f"{folder}/run"], check=True)
        show = "--mode=show", "--nocalibrate"
        sweep = [*module_command("caejax.main"), f"--config={CONFIG}"]
        quick = {
            "`--mode=show --nocalibrate` of a run": [*main, *show],
            "`--mode=show --nocalibrate` of the sweep": [*sweep, *show],
            "`caejax --help`": [*module_command("caejax"), "--help"],
        }
        shown = {
            name: median(command_seconds(words) for _ in range(repeats))
            for name, words in quick.items()
        }
    return {
        "a run, empty cache": median(cold),
        "the same run again, full cache": median(warm),
        **shown,
    }


# One run of the quickstart.
_SINGLE = """from caejax.config.load import load_config


def get_config():
    config = load_config("quickstart")
    config.sweep, config.references = {}, ()
    return config
"""


def tables(results: dict[str, Any]) -> str:
    """Both tables, as Markdown."""
    states = by_state(results["sweeps"])
    rows = [
        [name, *(f"{states[state][name]:.2f}" for state in STATES)]
        for name in next(iter(states.values()))
    ]
    rows.append(["aim beyond training, at most", *(f"{GOALS[s]:g}" for s in STATES)])
    for name in PHASES[-2:]:
        once = [results["sweeps"][cache]["once"][name] for cache in ("empty", "full")]
        rows.append([f"{name}, once a command", *(f"{x:.2f}" for x in once), ""])
    whole = [[name, f"{x:.2f}"] for name, x in results["commands"].items()]
    return "\n".join(
        (
            to_markdown(["seconds of a run", *STATES], rows),
            to_markdown(["whole command", "seconds"], whole),
        )
    )


def setting(args: argparse.Namespace) -> dict[str, Any]:
    """What was measured, on what."""
    # Not imported above: what a command imports is part of what is measured.
    from caejax.runtime.cores import usable_cores
    from experiments.shared.machine import versions

    return {
        "machine": platform.machine(),
        "cores": len(usable_cores()),
        "load": os.getloadavg()[0],
        "Python": platform.python_version(),
        **versions(("jax", "flax", "orbax-checkpoint")),
        "kinds": list(args.kinds),
    }


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    add = parser.add_argument
    add("--kinds", type=lambda text: text.split(","), default=KINDS)
    add("--repeats", type=int, default=3)
    add("--name", default="overhead", help="of the files that are written")
    add("--sweep", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measures and writes."""
    args = parse(argv)
    if args.sweep:
        sweep(args.sweep, args.kinds, args.out)
        return
    results: dict[str, Any] = {"setting": setting(args), "sweeps": {}}
    with tempfile.TemporaryDirectory() as folder:
        for cache in ("empty", "full"):
            found = Path(folder, f"{cache}.json")
            words = f"--sweep={folder}/{cache}", f"--kinds={','.join(args.kinds)}"
            run_module(
                "experiments.speed.overhead",
                *words,
                f"--out={found}",
                JAX_COMPILATION_CACHE_DIR=f"{folder}/programs",
            )
            results["sweeps"][cache] = json.loads(found.read_text())
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / f"{args.name}.json", results)  # kept whatever comes
    results["commands"] = commands(args.kinds[:2], args.repeats)
    write_json(args.out / f"{args.name}.json", results)
    text = f"Written by overhead.py.\n\n{tables(results)}"
    write_atomically(args.out / f"{args.name}.md", text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
