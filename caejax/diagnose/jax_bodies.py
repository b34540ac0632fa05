"""Conditions and loops of JAX functions, laid out as inputs run them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

_ROUNDS = 64  # of one loop; longer ones stay as they are
BODIES = ("cond", "scan", "while")

# Values with the steps that made them, None of what depends on no input.
Given = list[tuple[Any, int | None]]
Call = Callable[[core.ClosedJaxpr, Given], Given]


class Bodies:
    """Runs what is inside of conditions and loops, always as in the first run.

    So steps have the same numbers in all runs.

    Attributes:
      told: what is not looked into, in words.
    """

    def __init__(self):
        self.told: list[str] = []
        self._decided: list[int] = []
        self._next = 0
        self._found: dict[int, Any] = {}

    def once(self, eqn: Any, function: Callable[[Any], Any]) -> Any:
        """What a function says of an operation, which it is asked once of all runs."""
        if id(eqn) not in self._found:
            self._found[id(eqn)] = eqn, function(eqn)
        return self._found[id(eqn)][1]

    def restart(self) -> None:
        """Begins another run."""
        self._next = 0

    def run(self, eqn: Any, given: Given, call: Call) -> Given | None:
        """The results of a condition or a loop; None where it has to stay.

        Args:
          eqn: the operation.
          given: what it is given.
          call: runs a function of JAX, and notes its steps.
        """
        name = eqn.primitive.name
        if name == "cond":
            return self._branch(eqn, given, call)
        if name == "scan":
            return self._scan(eqn, given, call)
        return self._while(eqn, given, call)

    def _decide(self, find, what):
        """What was decided in the first run, or is now."""
        first = self._next == len(self._decided)
        if first:
            self._decided.append(find())
        self._next += 1
        found = self._decided[self._next - 1]
        if first and found < 0:
            self.told.append(what)
        return found

    def _branch(self, eqn, given, call):
        branches = eqn.params["branches"]
        value, depends = given[0]
        count = self._decide(
            lambda: min(max(int(value), 0), len(branches) - 1), "a branch of cond"
        )
        if depends is not None and "the other branch of cond" not in self.told:
            self.told.append("the other branch of cond")
        return call(branches[count], given[1:])

    def _scan(self, eqn, given, call):
        about = eqn.params
        length = about["length"]
        what = f"scan, of {length} rounds"
        if self._decide(lambda: length if length <= _ROUNDS else -1, what) < 0:
            return None
        fixed, carried = about["num_consts"], about["num_carry"]
        consts, state = given[:fixed], given[fixed : fixed + carried]
        rows, listed = given[fixed + carried :], []
        for n in range(length):
            at = length - 1 - n if about["reverse"] else n
            own = [_through(lambda x, at=at: x[at], [row], call)[0] for row in rows]
            made = call(about["jaxpr"], [*consts, *state, *own])
            state = made[:carried]
            listed.append(made[carried:])
        listed = listed[::-1] if about["reverse"] else listed
        stacked = [
            _through(lambda *parts: jnp.stack(parts), list(parts), call)[0]
            for parts in zip(*listed, strict=True)
        ]
        return [*state, *stacked]

    def _while(self, eqn, given, call):
        about = eqn.params
        asked = about["cond_nconsts"]
        fixed = asked + about["body_nconsts"]
        consts, state = given[asked:fixed], given[fixed:]

        def go_on(values):
            read = [value for value, _ in (*given[:asked], *values)]
            (answer,) = jax.core.eval_jaxpr(
                about["cond_jaxpr"].jaxpr, about["cond_jaxpr"].consts, *read
            )
            return bool(answer)

        def count():
            values, rounds = state, 0
            while go_on(values):
                if rounds == _ROUNDS:
                    return -1
                read = [value for value, _ in (*consts, *values)]
                body = about["body_jaxpr"]
                made = jax.core.eval_jaxpr(body.jaxpr, body.consts, *read)
                values, rounds = [(x, None) for x in made], rounds + 1
            return rounds

        rounds = self._decide(count, f"while, of more than {_ROUNDS} rounds")
        if rounds < 0:
            return None
        for _ in range(rounds):
            state = call(about["body_jaxpr"], [*consts, *state])
        return state


def _through(function, given, call):
    """What a function makes of values, with its steps noted."""
    closed = jax.make_jaxpr(function)(*(value for value, _ in given))
    return call(closed, given)
