"""Many runs trained in one compiled program.

The runs may differ in what `Varied` holds, in how far they are and in how far they are
to go; their states lie behind each other in one tree of arrays. On an accelerator a
program takes a step of all of them at a time; on a CPU, whose cores each have plenty to
do with one run, every core takes one run after another, and none waits for another.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from caejax.runtime import devices
from caejax.runtime.compilation import quick_jit
from caejax.train.loop import go_on
from caejax.train.run import Answer, Course, Request, Run
from caejax.train.state import TrainState
from caejax.train.step import objective, take_steps
from caejax.train.task import Task

MOST = 64  # runs in a group; each keeps files open

_SECONDS = 5.0  # that a call lasts, about, so that Ctrl-C is heard
_STATES = 3  # copies of a run's state: its own, that of the group, and the next
_STEP = 3  # a step needs so many times what it keeps for its gradient, at most


class Varied(NamedTuple):
    """What may differ between the runs of a group.

    Attributes:
      seed, level: of `caejax.train.run.Run`.
      learning_rate: of the optimiser.
      code_penalty: of the task; all or none of the runs have one.
    """

    seed: Any
    level: Any
    learning_rate: Any
    code_penalty: Any


def train_together(
    courses: dict[str, Course],
    requests: dict[str, Request],
    size: int,
    ended: Callable[[str, Any], None],
) -> None:
    """Takes the steps that courses ask for, until all have ended.

    Where a device runs out of memory, half as many are tried at a time, down to one a
    device. That is another program, which may round otherwise.

    Args:
      courses: by name; tasks differ in what `Varied` holds, images do not differ.
      requests: the first of each. Both dicts are emptied.
      size: how many the program takes at a time; others wait until some have ended.
      ended: called as ended(name, value) with what a course has returned. An error
        that it does not catch goes on to the caller.
    """
    each = -(-size // jax.device_count())  # device takes so many
    take = _pacemaker(each * jax.device_count())
    while requests:
        names = list(requests)[: each * jax.device_count()]
        try:
            answers = take([requests[name] for name in names])
        except Exception as error:
            if each > 1 and "RESOURCE_EXHAUSTED" in str(error):
                each //= 2
                take = _pacemaker(each * jax.device_count())
                continue
            answers = [error] * len(names)  # it is that of each
        for name, answer in zip(names, answers, strict=True):
            try:
                requests[name] = go_on(courses[name], answer)
            except StopIteration as end:
                del requests[name], courses[name]
                ended(name, end.value)


def _pacemaker(lanes):
    """Makes the function that takes steps in calls of some seconds each."""
    pace = 1

    def take(requests: list[Request]) -> list[Answer]:
        nonlocal pace
        began = time.perf_counter()
        filled = requests + [requests[0]._replace(stop=0)] * (lanes - len(requests))
        steps = compiled_group(shared(requests[0].run.task), in_turn())
        images = requests[0].run.images["train"]
        stop = np.array([request.stop for request in filled])
        varied = _stack([_varied(request.run) for request in filled])
        states = _stack([request.state for request in filled])
        sums = _stack([request.sums for request in filled])
        step = np.array(states.step)
        while True:
            before, started = step, time.perf_counter()
            until = np.minimum(stop, before + pace)
            states, sums = steps(images, states, sums, until, varied)
            # Copies, as the next call may write where these lie.
            loss, step = np.array(sums["loss"]), np.array(states.step)
            if taken := int((step - before).max()):
                seconds = time.perf_counter() - started
                pace = max(1, round(taken * _SECONDS / seconds))
            if np.all((step >= stop) | ~np.isfinite(loss)):
                break
        states, sums = jax.device_get((states, sums))
        share = (time.perf_counter() - began) / len(requests)
        return [(_lane(states, i), _lane(sums, i), share) for i in range(len(requests))]

    return take


def _stack(trees):
    def stack(*leaves):
        return devices.in_shares(np.stack([np.asarray(leaf) for leaf in leaves]))

    return jax.tree.map(stack, *trees)


def _lane(tree, i):
    return devices.on_all_devices(jax.tree.map(lambda x: jnp.asarray(x[i]), tree))


def _varied(run):
    spec = run.task.optimizer
    return Varied(run.seed, run.level, spec.learning_rate, run.task.code_penalty)


def _with(task, varied):
    optimizer = task.optimizer._replace(learning_rate=varied.learning_rate)
    return task._replace(optimizer=optimizer, code_penalty=varied.code_penalty)


def shared(task: Task) -> Task:
    """A task without what may vary, so that groups share programs."""
    penalty = None if task.code_penalty is None else 1.0
    return _with(task, Varied(0, 0.0, 1.0, penalty))


def in_turn() -> bool:
    """Whether a device takes its runs one after another."""
    return jax.default_backend() == "cpu"


@functools.cache
def compiled_group(task: Task, in_turn: bool) -> Callable[..., Any]:
    """Makes the function that takes steps of many runs in one call.

    `run(images, states, sums, stop, varied)` does for every run what
    `caejax.train.step.compiled_steps` says. All but the images have a leading axis
    of runs, a multiple of the number of devices, which share them.

    Args:
      task: of all runs but for what varies.
      in_turn: runs one after another instead of all at a time.
    """

    def one(images, state, sums, stop, varied):
        own, seed, level = _with(task, varied), varied.seed, varied.level
        return take_steps(own, state, sums, images, stop, seed, level)

    def run(images, *stacks):
        if in_turn:
            return jax.lax.map(lambda x: one(images, *x), stacks)
        return jax.vmap(functools.partial(one, images))(*stacks)

    return quick_jit(devices.each_its_share(run), donate_argnums=(1, 2))


def capacity(run: Run, state: TrainState, budget: float) -> int:
    """How many runs like this one can be trained together.

    By an estimate of the memory that they take: the state of each, thrice, and three
    times what a step keeps for its gradient, of each whose steps are taken at a time.

    Args:
      run: one of them.
      state: its.
      budget: bytes on a device, where it does not tell what it has left.

    Returns:
      At least 1, at most `MOST`.
    """
    memory, one = _free_bytes(budget), _STATES * _bytes(state)
    step = _STEP * _kept_bytes(run, state)
    each = (memory - step) // one if in_turn() else memory // (one + step)
    return min(MOST, max(1, int(each)) * jax.device_count())


def _kept_bytes(run, state):
    """What the backward pass of a step needs of its forward pass."""
    shape = (run.task.batch_size, *run.images["train"].shape[1:])
    clean = jax.ShapeDtypeStruct(shape, jnp.float32)

    def forward(params, clean):
        return jax.vjp(lambda p: objective(run.task, p, clean, clean)[0], params)[1]

    return _bytes(jax.eval_shape(forward, state.params, clean))


def _bytes(tree):
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _free_bytes(budget):
    """Nine tenths of what the device has left, or else the budget."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return budget
    return 0.9 * (stats["bytes_limit"] - stats["bytes_in_use"])
