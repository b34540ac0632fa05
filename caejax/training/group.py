"""Many runs trained in one compiled program.

The runs may differ in what `caejax.training.varied` lists, in how far they are and in
how far they are to go; their states lie behind each other in one tree of arrays. On an
accelerator a program takes a step of all of them at a time; on a CPU, whose cores each
have plenty to do with one run, every core takes one run after another, and none waits
for another.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.errors import lacks_memory
from caejax.runtime import devices, stopping
from caejax.runtime.compilation import quick_jit
from caejax.training.loop import go_on
from caejax.training.pace import Pace
from caejax.training.run import Answer, Course, Request, Run
from caejax.training.state import TrainState
from caejax.training.step import objective, take_steps
from caejax.training.varied import Recipe, read_values, recipe_of, set_values, shared

MOST = 64  # runs in a group; each keeps files open

_STATES = 3  # copies of a run's state: its own, that of the group, and the next
_STEP = 3  # a step needs so many times what it keeps for its gradient, at most


def train_together(
    courses: dict[str, Course],
    requests: dict[str, Request],
    size: int,
    ended: Callable[[str, Any], None],
) -> None:
    """Takes the steps that courses ask for, until all have ended.

    Where memory runs out, half as many are tried at a time, down to one a device.
    That is another program, which may round otherwise.

    Args:
      courses: the runs' courses by name. The runs have the same images, and recipes
        that are the same but for what may vary.
      requests: the first request of each course, by name. Both dicts are emptied.
      size: how many runs the program takes at a time; others wait until some have
        ended.
      ended: called as ended(name, value) with what a course has returned. An error
        that it does not catch goes on to the caller.

    Raises:
      Stopped: the process is to stop; each course has saved what it had to.
    """
    each = -(-size // jax.device_count())  # device takes so many
    take = _pacemaker(each * jax.device_count())
    while requests:
        # The first stay so until they end: runs are finished, not taken by turns.
        names = list(requests)[: each * jax.device_count()]
        try:
            answers = take([requests[name] for name in names])
        except Exception as error:
            if each > 1 and lacks_memory(error):
                # The requests' own states were copied, not given away, and go again.
                each //= 2
                take = _pacemaker(each * jax.device_count())
                continue
            answers = [error] * len(names)  # it is that of each
        for name, answer in zip(names, answers, strict=True):
            _answer(name, answer, courses, requests, ended)
        if stopping.asked():
            # All are answered without a step, so that each saves what it has to.
            for name, (_, state, sums, _) in list(requests.items()):
                _answer(name, (state, sums, 0.0), courses, requests, ended)
            stopping.check()


def _answer(name, answer, courses, requests, ended):
    try:
        requests[name] = go_on(courses[name], answer)
    except StopIteration as end:
        del requests[name], courses[name]
        ended(name, end.value)
    except stopping.Stopped:
        del requests[name], courses[name]  # the others are to save, too


def _pacemaker(lanes):
    """Makes the function that takes steps in calls of about a second each.

    The states of its requests are stacked and taken apart again: what happens to a run
    between two requests is as if it were alone.
    """
    pace = Pace()

    def take(requests: list[Request]) -> list[Answer]:
        began = time.perf_counter()
        # Always as many lanes, so that what a run rounds to, and what is compiled, does
        # not depend on how many are left. Those beyond stop at once.
        filled = requests + [requests[0]._replace(stop=0)] * (lanes - len(requests))
        steps = compiled_group(shared(recipe_of(requests[0].run)), in_turn())
        images = requests[0].run.images["train"]
        stop = np.array([request.stop for request in filled])
        varied = _stack([read_values(recipe_of(request.run)) for request in filled])
        states = _stack([request.state for request in filled])
        sums = _stack([request.sums for request in filled])
        step = np.array(states.step)
        while True:
            before, started = step, time.perf_counter()
            until = np.minimum(stop, before + pace.steps)
            states, sums = steps(images, states, sums, until, varied)
            # Copies, as the next call may write where these lie.
            loss, step = np.array(sums["loss"]), np.array(states.step)
            pace.learn(int((step - before).max()), time.perf_counter() - started)
            if stopping.asked():
                break
            # A run whose loss is not finite stays where it is; its course says so.
            if np.all((step >= stop) | ~np.isfinite(loss)):
                break
        states, sums = jax.device_get((states, sums))
        share = (time.perf_counter() - began) / len(requests)
        return [(_lane(states, i), _lane(sums, i), share) for i in range(len(requests))]

    return take


def _stack(trees):
    """Trees behind each other in one, each device with an equal share of them."""
    trees = jax.device_get(trees)  # all copies begin before one is waited for
    return jax.tree.map(lambda *leaves: devices.in_shares(np.stack(leaves)), *trees)


def _lane(tree, i):
    return devices.on_all_devices(jax.tree.map(lambda x: jnp.asarray(x[i]), tree))


def in_turn() -> bool:
    """Whether a device takes its runs one after another."""
    return jax.default_backend() == "cpu"


@functools.cache
def compiled_group(recipe: Recipe, in_turn: bool) -> Callable[..., Any]:
    """Makes the function that takes steps of many runs in one call.

    `run(images, states, sums, stop, varied)` does for every run what
    `caejax.training.step.compiled_steps` says; `varied` are the runs' values of
    `caejax.training.varied.VARIED`. All but the images have a leading axis of runs, a
    multiple of the number of devices, which share them.

    Args:
      recipe: what the runs share.
      in_turn: whether a device takes its runs one after another instead of all at a
        time.
    """

    def one(images, state, sums, stop, varied):
        task, seed, level = set_values(recipe, varied)
        return take_steps(task, state, sums, images, stop, seed, level)

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
      run: one of the runs.
      state: that run's state.
      budget: the bytes to use on a device that does not tell what it has left.

    Returns:
      At least 1, at most `MOST`.
    """
    memory, one = _free_bytes(budget), _STATES * _bytes(state)
    step = _STEP * _kept_bytes(run, state)
    # One after another, runs use the memory of a step in turn.
    each = (memory - step) // one if in_turn() else memory // (one + step)
    return min(MOST, max(1, int(each)) * jax.device_count())


def _kept_bytes(run, state):
    """What the backward pass of a step needs of its forward pass."""
    size, channels = run.task.crop_size, run.images["train"].shape[-1]
    seen = (size, size, channels) if size else run.images["train"].shape[1:]
    shape = (run.task.batch_size, *seen)
    clean = jax.ShapeDtypeStruct(shape, jnp.float32)
    told = run.task.model.told(jax.ShapeDtypeStruct(shape[:1], jnp.float32))

    # The function that `vjp` returns is a tree of the arrays that it keeps, whose
    # sizes `eval_shape` finds without computing them.
    def forward(params, clean, *told):
        def loss(params):
            return objective(run.task, params, clean, clean, *told)[0]

        return jax.vjp(loss, params)[1]

    return _bytes(jax.eval_shape(forward, state.params, clean, *told))


def _bytes(tree):
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _free_bytes(budget):
    """Nine tenths of what the device has left, or else the budget."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return budget
    return 0.9 * (stats["bytes_limit"] - stats["bytes_in_use"])
