"""One implementation in a process of its own, told what to do line by line.

    python -m experiments.speed.worker

reads JSON objects from standard input and answers each with one on standard output:
{"do": "make", "implementation", "system", "settings"} first, then {"do": "run",
"steps"}, {"do": "forward"}, {"do": "peak"} or {"do": "memory"}. The answer to
what fails is {"error": ...}. Between two lines the process sleeps.
"""

import base64
import json
import os
import resource
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

import numpy as np

from experiments.speed.runners import IMPLEMENTATIONS, PEAK_SIDES, Runner, Settings
from experiments.speed.systems import System, random_images

CHECKED = 2  # images whose output is compared
REPEATS = 5  # of a matrix product

Message = dict[str, Any]


def make(message: Message) -> Runner:
    """The runner that a message asks for."""
    system = System(**message["system"])
    # JSON has no tuples.
    model = {k: tuple(v) if isinstance(v, list) else v for k, v in system.model.items()}
    system = system._replace(model=model)
    settings = Settings(**message["settings"])
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: settings.cores])
    create, _ = IMPLEMENTATIONS[message["implementation"]]
    return create(system, settings)


def run(runner: Runner, message: Message) -> Message:
    """Trains; answers the seconds it took, and those of all cores together."""
    start, cpu = time.perf_counter(), time.process_time()
    runner.run(message["steps"])
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
    }


def forward(runner: Runner, message: Message) -> Message:
    """Answers the logits of a few images."""
    system = System(**message["system"])
    images = random_images(system, CHECKED, seed=1)
    logits = np.asarray(runner.forward(images), np.float32)
    return {"logits": base64.b64encode(logits.tobytes()).decode()}


def peak(runner: Runner, message: Message) -> Message:
    """Answers the fastest matrix product's GFLOP/s, by side."""
    del message
    sides = PEAK_SIDES.get(runner.platform, PEAK_SIDES["gpu"])
    return {"gflops": {side: _peak(runner, side) for side in sides}}


def _peak(runner, side):
    multiply = runner.peak(side)
    multiply()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds) / 1e9


def memory(runner: Runner, message: Message) -> Message:
    """Answers the largest resident and device memory so far, in MiB."""
    del message
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**10 if sys.platform == "darwin" else 1  # there in bytes, here in KiB
    return {
        "resident_mib": largest / unit / 2**10,
        "device_mib": runner.device_bytes() / 2**20,
    }


_ANSWERS = {"run": run, "forward": forward, "peak": peak, "memory": memory}


def serve(lines: Iterable[str], out: TextIO) -> None:
    """Answers every line; an idle process's CPU time comes with the next answer."""
    runner, idle_since = None, time.process_time()
    for line in lines:
        message = json.loads(line)
        idle = time.process_time() - idle_since
        try:
            if message["do"] == "make":
                start = time.perf_counter()
                runner = make(message)
                seconds = time.perf_counter() - start
                answer = {"platform": runner.platform, "seconds": seconds}
            else:
                answer = _ANSWERS[message["do"]](runner, message)
        except Exception as error:
            lines = str(error).strip().splitlines()
            answer = {"error": f"{type(error).__name__}: {(lines or [''])[0]}"}
        answer["idle_cpu_seconds"] = idle
        print(json.dumps(answer), file=out, flush=True)
        idle_since = time.process_time()


def main() -> None:
    """Serves standard input."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
