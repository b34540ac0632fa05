"""What may differ between runs that one compiled program trains.

A field that may is one entry of `VARIED`. Sweeps tell by it which runs make a group,
groups hand its values to their program as arrays, and programs are shared by it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from caejax.training.run import Run
from caejax.training.task import Task


class Recipe(NamedTuple):
    """What a run's steps depend on besides its images; hashable.

    Attributes:
      task: the static part of its compiled programs.
      seed: the seed of data order and noise.
      level: the corruption's level.
    """

    task: Task
    seed: Any
    level: Any


class Vary(NamedTuple):
    """A field of the config in which the runs of a group may differ.

    Attributes:
      field: the field's dotted name.
      read: called as read(recipe), returns the value that the run's steps use; None
        where they use none.
      set: called as set(recipe, value), returns the recipe with that value, which may
        be traced.
      common: called with a run's value, from its config or from its recipe; returns
        what stands for it where runs are compared. Runs whose common values differ
        have programs that differ and are not in one group.
    """

    field: str
    read: Callable[[Recipe], Any]
    set: Callable[[Recipe, Any], Recipe]
    common: Callable[[Any], Any]


def _set_in_task(recipe, **values):
    return recipe._replace(task=recipe.task._replace(**values))


def _of_optimizer(name):
    """A number of the optimiser that its program takes as it comes."""

    def set_value(recipe, value):
        optimizer = recipe.task.optimizer._replace(**{name: value})
        return _set_in_task(recipe, optimizer=optimizer)

    return Vary(
        field=f"optimizer.{name}",
        read=lambda recipe: getattr(recipe.task.optimizer, name),
        set=set_value,
        common=lambda value: 1.0,
    )


VARIED: tuple[Vary, ...] = (
    Vary(
        field="seed",
        read=lambda recipe: recipe.seed,
        set=lambda recipe, value: recipe._replace(seed=value),
        common=lambda value: 0,
    ),
    Vary(
        field="corruption.level",
        read=lambda recipe: recipe.level,
        set=lambda recipe, value: recipe._replace(level=value),
        common=lambda value: 0.0,
    ),
    _of_optimizer("learning_rate"),
    _of_optimizer("weight_decay"),
    Vary(
        field="code_penalty",
        read=lambda recipe: recipe.task.code_penalty,
        set=lambda recipe, value: _set_in_task(recipe, code_penalty=value),
        # A program without a penalty computes none: all runs have one or none has.
        common=lambda value: 1.0 if value else value,
    ),
)


def recipe_of(run: Run) -> Recipe:
    """What a run's steps depend on."""
    return Recipe(run.task, run.seed, run.level)


def read_values(recipe: Recipe) -> tuple[Any, ...]:
    """A recipe's values of all that may vary, in the order of `VARIED`."""
    return tuple(vary.read(recipe) for vary in VARIED)


def set_values(recipe: Recipe, values: tuple[Any, ...]) -> Recipe:
    """A recipe with other values of all that may vary, in the order of `VARIED`."""
    for vary, value in zip(VARIED, values, strict=True):
        recipe = vary.set(recipe, value)
    return recipe


def shared(recipe: Recipe) -> Recipe:
    """A recipe without what may vary: the same for all runs of a group."""
    return set_values(recipe, tuple(vary.common(vary.read(recipe)) for vary in VARIED))
