"""Takes turns between workers, and what follows from their times."""

import base64
import itertools
import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.shared import idle
from experiments.shared.commands import environment, module_command
from experiments.shared.turns import in_turns
from experiments.speed.runners import IMPLEMENTATIONS, Settings
from experiments.speed.systems import System, parameters, step_flops, words

WARM_UP = 2  # steps behind the first two
REFERENCE = "caejax"
PATIENCE = 900  # seconds, compiling included, until a worker counts as stuck
LIBRARIES = {"jax": "flax", "torch": "torch_nchw"}  # by whose workers they are had

Record = dict[str, Any]


class WorkerError(Exception):
    """An implementation could not do what it was asked."""


class Worker:
    """A process that runs one implementation of a system."""

    def __init__(self, implementation: str, system: System, settings: Settings):
        self.implementation = implementation
        self.system, self.settings = system, settings
        # Compiled code is kept with the worker, so that nothing is found compiled.
        self._cache = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            module_command("experiments.speed.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables(settings, self._cache.name),
        )

    def ask(self, do: str, **message: Any) -> Record:
        """Sends a message and waits for the answer.

        Raises:
          WorkerError: the answer is an error, or there is none.
        """
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        try:
            print(
                json.dumps({"do": do, **message}), file=self._process.stdin, flush=True
            )
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            raise WorkerError(f"worker ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def make(self) -> Record:
        """Makes the system; nothing is compiled yet."""
        return self.ask(
            "make",
            implementation=self.implementation,
            system=self.system._asdict(),
            settings=self.settings._asdict(),
        )

    def logits(self) -> np.ndarray:
        """Output for a few images with the weights that all begin with."""
        answer = self.ask("forward", system=self.system._asdict())
        return np.frombuffer(base64.b64decode(answer["logits"]), np.float32)

    def warm_up(self) -> float:
        """Trains a little; returns the seconds of two first steps, which compile.

        A second call may compile again, for where the first one left its results.
        """
        seconds = sum(self.ask("run", steps=1)["seconds"] for _ in range(2))
        self.ask("run", steps=WARM_UP)
        return seconds

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._cache.cleanup()


def variables(settings: Settings, cache: str) -> dict[str, str]:
    """The environment variables of a worker.

    Args:
      settings: the measurement's settings.
      cache: the folder for compiled code.
    """
    return environment(
        PYTHONUNBUFFERED="1",
        OMP_NUM_THREADS=str(settings.cores),
        # All workers share one accelerator.
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
        TORCHINDUCTOR_CACHE_DIR=cache,
        # In the worker itself: others would wait for work between the turns.
        TORCHINDUCTOR_COMPILE_THREADS="1",
    )


def measure(
    system: System,
    implementations: Sequence[str],
    settings: Settings,
    *,
    rounds: int,
    seconds: float,
) -> Record:
    """Times the implementations of a system in turns.

    Args:
      system: the system to train.
      implementations: names of `IMPLEMENTATIONS`, caejax among them.
      settings: the measurement's settings, dtype and cores.
      rounds: the number of rounds on an idle machine; there are at most twice as many.
      seconds: about how many seconds a turn takes.

    Returns:
      The system's record, with one for each implementation: milliseconds a step by
      round, and so on. "machine" says what else went on in each round, as in
      `idle.between`. Instead of what failed, "failures" has the reason.
    """
    workers, made, failures = {}, {}, {}
    try:
        for name in sorted(implementations, key=list(IMPLEMENTATIONS).index):
            own = settings._replace(**IMPLEMENTATIONS[name][1])
            if name == "torch_compile":
                own = own._replace(channels_last=_faster_layout(workers))
            if name != REFERENCE and REFERENCE in made:
                own = own._replace(platform=made[REFERENCE]["platform"])
            workers[name] = Worker(name, system, own)
            try:
                made[name] = {
                    **workers[name].make(),
                    "logits": workers[name].logits(),
                    "first_steps_s": workers[name].warm_up(),
                }
            except WorkerError as error:
                failures[name] = str(error)
                workers.pop(name).close()
        counts = {name: _steps(worker, seconds) for name, worker in workers.items()}
        times, machine = take_turns(workers, counts, rounds)
        memory = {name: worker.ask("memory") for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()
    reference = made.get(REFERENCE, next(iter(made.values()), None))
    return {
        "name": system.name,
        **{f"{half}_layers": layers for half, layers in words(system).items()},
        "batch": system.batch,
        "side": system.side,
        "channels": system.channels,
        "parameters": parameters(system),
        "gflop": step_flops(system) / 1e9,
        "failures": failures,
        "machine": machine,
        "implementations": {
            name: {
                "platform": made[name]["platform"],
                "channels_last": worker.settings.channels_last,
                "steps_a_turn": counts[name],
                **times[name],
                "first_steps_s": made[name]["first_steps_s"],
                "resident_mib": memory[name]["resident_mib"],
                "device_mib": memory[name]["device_mib"],
                "max_difference": float(
                    np.abs(made[name]["logits"] - reference["logits"]).max()
                ),
            }
            for name, worker in workers.items()
        },
    }


def _faster_layout(workers):
    """Whether PyTorch is faster with channels last, by a short look."""
    names = [name for name in ("torch_nchw", "torch_nhwc") if name in workers]
    if len(names) < 2:
        return True
    counts = {name: _steps(workers[name], 0.3) for name in names}
    times, _ = take_turns({name: workers[name] for name in names}, counts, 3)
    return min(times["torch_nhwc"]["ms"]) < min(times["torch_nchw"]["ms"])


def _steps(worker, seconds):
    """How many steps take about so many seconds."""
    steps, taken = 1, worker.ask("run", steps=1)["seconds"]
    while taken < seconds / 8:
        steps *= 2
        taken = worker.ask("run", steps=steps)["seconds"]
    return max(1, round(steps * seconds / taken))


def take_turns(
    workers: dict[str, Worker], counts: dict[str, int], rounds: int
) -> tuple[dict[str, Record], list[Record | None]]:
    """Runs all workers in rounds, every other one in reverse.

    There are more rounds, up to twice as many, while so many were not on an idle
    machine.

    Returns:
      Each worker's record, by name: "ms", milliseconds a step by round; "cores_busy",
      the CPU's over the clock's seconds; "idle_cpu_s", CPU time taken while others
      had their turn. Then what else the machine did in each round.
    """
    answers, machine = {name: [] for name in workers}, []
    order = in_turns(list(workers), 2 * rounds)
    while workers and sum(map(idle.was_idle, machine)) < rounds > len(machine) / 2:
        before = _look(workers)
        for name in itertools.islice(order, len(workers)):
            answers[name].append(workers[name].ask("run", steps=counts[name]))
        machine.append(idle.between(before, _look(workers)))

    def total(name, field):
        return sum(answer[field] for answer in answers[name])

    times = {
        name: {
            "ms": [1000 * answer["seconds"] / counts[name] for answer in answers[name]],
            "cores_busy": total(name, "cpu_seconds")
            / max(total(name, "seconds"), 1e-9),
            "idle_cpu_s": total(name, "idle_cpu_seconds"),
        }
        for name in workers
    }
    return times, machine


def _look(workers):
    return idle.look(worker.pid for worker in workers.values())


def peaks(system: System, settings: Settings) -> dict[str, Any]:
    """GFLOP/s of matrix products by library and size, or why there are none.

    Args:
      system: a small system that the workers make and never train.
      settings: the measurement's settings.
    """
    found = {}
    for library, name in LIBRARIES.items():
        worker = Worker(name, system, settings)
        try:
            platform = worker.make()["platform"]
            found[library] = worker.ask("peak")["gflops"]
            settings = settings._replace(platform=platform)
        except WorkerError as error:
            found[library] = str(error)
        finally:
            worker.close()
    return found
