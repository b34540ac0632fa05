"""What to do next, from what a run's or a sweep's files show."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caejax.config.length import FEW_STEPS
from caejax.corruptions import CORRUPTIONS, DENOISE
from caejax.metrics.table import ROUNDING_DB
from caejax.report import findings
from caejax.report.again import longer
from caejax.report.cost import RIPPLE, clean_choices, costs, ripples
from caejax.report.evidence import (
    INTERVAL,
    decided,
    how_to_add_seeds,
    needed,
    paired,
    these,
)
from caejax.report.figures import curve
from caejax.report.intervals import ENOUGH
from caejax.report.judgement import Rival
from caejax.report.leads import (
    INPUT,
    PSNR,
    is_worse,
    leads,
    name_of,
    pairs_of,
    scores_of,
)
from caejax.report.missing import how_to_finish, lacking
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.sizes import equal_sizes
from caejax.report.statistics import TOO_FEW

_MOST = 4  # things to do at a time
_FALLING = 0.01  # of a loss in a fifth of the training, at least
_CHEAP = 0.1  # dB that being free of checkerboards may cost without a thought


def next_steps(sweep: SweepFiles, command: str = "") -> list[str]:
    """What to do next after a sweep, the most urgent first; code is in backticks.

    Args:
      sweep: what the sweep's folder holds.
      command: the command that has made it, as environment.json has it.
    """
    found = leads(sweep)
    if not found:
        return how_to_finish(sweep, command)
    judged = findings.held_against_references(sweep, found)
    below = [lead for lead in found if is_worse(np.mean(lead.scores), lead.input)]
    runs = list(sweep.runs.values())
    steps = [
        *how_to_finish(sweep, command),
        *_train_longer(runs, bool(below), _epochs(sweep, runs, command)),
        *([] if lacking(sweep) else _more_seeds(sweep, found, command)),
        *equal_sizes(sweep),
        *_without_checkerboards(sweep, found, bool(below)),
        *_against_rivals([rivals[0] for rivals in judged if rivals]),
        *([] if any(judged) else _measure_references(*_configs(sweep))),
    ]
    return steps[:_MOST]


def run_next_steps(run: RunFiles, command: str = "") -> list[str]:
    """What to do next after a single run, as `next_steps`."""
    below = is_worse(run.summary[PSNR], run.summary.get(INPUT))
    rivals = findings.run_rivals(run)
    steps = [
        *_train_longer([run], below, _more_epochs(run.config, [run], command)),
        *_against_rivals(rivals[:1]),
        *([] if rivals else _measure_references(run.config)),
    ]
    if run.summary.get(RIPPLE, -np.inf) >= ROUNDING_DB:
        steps.append(
            "If its checkerboard matters, take a decoder that cannot draw one "
            "(`model.upsampling=nearest_k3`), or mend this one with `caejax fix`."
        )
    return steps[:_MOST]


def _train_longer(runs: Sequence[RunFiles], below: bool, how: str):
    falling = sum(still_falling(run.rows) for run in runs)
    few = _few_steps(runs)
    if not falling and not few:
        return (
            [
                "Try a larger model or a smaller learning rate: more of the same "
                "training will not lift it above its input."
            ]
            if below
            else []
        )
    whose = "The" if len(runs) == 1 else f"In {falling} of {len(runs)} runs the"
    fell = f" {whose} validation loss was still falling." if falling else ""
    return [f"Train longer{how}.{few}{fell}"]


def _few_steps(runs):
    """That runs took too few steps to learn much, as they said when they began."""
    few = [run.summary["steps"] for run in runs if _is_few(run)]
    if not few:
        return ""
    return (
        f" {findings.span(few, 0)} steps are few: hardly any model learns much in less "
        f"than {FEW_STEPS}."
    )


def _is_few(run):
    return run.summary.get("steps", FEW_STEPS) < FEW_STEPS


def _epochs(sweep, runs, command):
    """How a sweep is trained for more epochs; "" where its axes say for how many."""
    swept = {"train.epochs", "train.early_stopping", "config"} & {*sweep.fields}
    return "" if swept else _more_epochs(sweep.config, runs, command)


def _more_epochs(config, runs, command):
    """How to train for twice the epochs, or for so many that the steps are not few.

    A single run goes on in its folder; a sweep's runs, and one whose learning rate
    ends with the epochs, are others then, and need a folder of their own.
    """
    if more := _more_patience(runs):
        return more
    epochs = 2 * config.get("train", {}).get("epochs", 0)
    if not epochs:
        return ""
    epochs = max([epochs, *map(_enough_epochs, runs)])
    schedule = config.get("optimizer", {}).get("schedule", "constant")
    if not config.get("sweep") and schedule == "constant":
        return f", `--config.train.epochs={epochs}` for instance"
    if again := longer(command, epochs):
        return f", in a folder of its own: `{again}`"
    return (
        f", with `--config.train.epochs={epochs}` for instance, and with another "
        "`--workdir`, as this one keeps its runs"
    )


def _enough_epochs(run):
    """The least epochs of `FEW_STEPS` steps; 0 where a run does not tell."""
    steps = run.summary.get("steps", 0)
    return math.ceil(FEW_STEPS * _epochs_done(run) / steps) if steps else 0


def _epochs_done(run):
    """The epochs of a run, less those before which it stopped early."""
    epochs = run.summary.get("epochs", 0)
    if not _patience(run):
        return epochs
    return min(epochs, max((row.get("epoch", 0) for row in run.rows), default=epochs))


def _patience(run):
    return run.config.get("train", {}).get("early_stopping", 0)


def _more_patience(runs):
    """How runs go on that had all stopped early, where more epochs change nothing."""
    asked = [run for run in runs if _is_few(run) or still_falling(run.rows)]
    early = [run for run in asked if _epochs_done(run) < run.summary.get("epochs", 0)]
    if not early or len(early) < len(asked):
        return ""
    patience = 2 * max(map(_patience, early))
    return (
        f", with more patience, `--config.train.early_stopping={patience}` for "
        "instance, and with another `--workdir`, as this one keeps its runs"
    )


def still_falling(rows: Iterable[dict[str, Any]]) -> bool:
    """Whether the validation loss fell by a hundredth in the last fifth of training.

    Args:
      rows: the rows of metrics.jsonl.
    """
    losses = curve(list(rows), "loss", "val")
    if len(losses) < 3:
        return False
    steps, values = np.array(losses).T
    before = values[steps <= 0.8 * steps[-1]]
    # Rows of what came before may be lost.
    return bool(len(before) and values[-1] < (1 - _FALLING) * before[-1])


def _against_rivals(tops: Sequence[Rival]):
    ahead = [rival for rival in tops if rival.lead > 0]
    sure = [rival for rival in ahead if rival.better]
    seen = [rival for rival in ahead if rival.interval is None]
    if not sure and not seen:
        return []
    strongest = max(sure or seen, key=lambda rival: rival.lead)
    far = "" if sure else f", as far as {these([strongest])} can tell"
    return [
        f"Until a model beats it, {strongest.name} is the better choice where only "
        f"PSNR counts{far}; a model gains by more training, data or width."
    ]


def _configs(sweep):
    """The configs of the runs, of whole configs their own."""
    own = [run.config for run in sweep.runs.values()]
    return own if "config" in sweep.fields else [sweep.config]


def _measure_references(*configs):
    names = {config.get("corruption", {}).get("name", "") for config in configs}
    if any(CORRUPTIONS[x].task != DENOISE for x in names & set(CORRUPTIONS)):
        return []
    return [
        "Measure what else could be done with these images, by PCA and a median filter "
        "for instance: `caejax eval --workdir=DIR --references=median,pca`, "
        "then `caejax report --workdir=DIR`."
    ]


def _more_seeds(sweep, found, command):
    compared = [lead for lead in found if lead.differences]
    if not compared or any(lead.p != TOO_FEW for lead in compared):
        return []
    pairs = pairs_of(scores_of(sweep))
    of = f" of {pairs:,} pairs of settings" * (pairs > 1)
    told = []
    if paired(compared) < ENOUGH:
        told.append(f"{ENOUGH} seeds are the least for an interval")
    if enough := needed(pairs):
        told.append(
            f"{enough} {'' if told else 'seeds are '}the least with which a sign-flip "
            f"test{of} can find a difference"
        )
    how = how_to_add_seeds(sweep, enough or ENOUGH, command)
    return [f"Add seeds, {how}: {', and '.join(told)}."] if told else []


def _without_checkerboards(sweep, leads_found, below):
    """Which decoder to take if patterns matter, and what that costs."""
    values = ripples(sweep)
    clean = clean_choices(values)
    if not values or set(clean) == set(values):
        return []
    if not clean:
        return [
            "Add a decoder that cannot draw a checkerboard, `nearest_k3` for instance, "
            "to see what that costs; `caejax fix` mends trained ones."
        ]
    tidy = _tidiest(sweep, clean)
    if tidy is None:
        return []
    name = name_of(tidy)
    if below:  # a PSNR that low speaks for no decoder
        return [
            f"If patterns matter, keep {name}, which draws no checkerboard; what that "
            "costs will show when models are better than their input."
        ]
    found = costs(sweep, [tidy])
    unsure = lacking(sweep) or paired(leads_found) < ENOUGH
    must = f"So far {name} looks best" if unsure else f"Take {name}"
    if not _cheap(found):
        must = f"If patterns matter more than PSNR, take {name}"
    return [f"{must}: it draws no checkerboard{_price(found)}."]


def _tidiest(sweep, clean):
    """Of clean choices that of the highest PSNR, a mean over what all of them have.

    Where no condition has all, those that most have together are compared.
    """
    groups = [
        {choice: scores[choice] for choice in clean if choice in scores}
        for scores in scores_of(sweep, PSNR).values()
    ]
    sets = Counter(frozenset(scores) for scores in groups if scores)
    if not sets:
        return None
    able = max(sets, key=lambda choices: (len(choices), sets[choices]))

    shared = [scores for scores in groups if able <= scores.keys()]

    def psnr(choice):
        return np.mean([np.mean([*scores[choice].values()]) for scores in shared])

    return max((choice for choice in clean if choice in able), key=psnr)


def _cheap(found):
    """Whether all that seeds leave open is less than what is worth a thought."""
    most = [cost.interval[1] if cost.interval else cost.gap for cost in found]
    return all(x <= _CHEAP for x in most)


def _price(found):
    """What PSNR it costs, as far as seeds tell."""
    paid = [cost for cost in found if cost.best != cost.clean]
    if not paid:
        return ", and its PSNR is the highest" if found else ""
    if max(cost.gap for cost in paid) <= 0:
        return ", and its PSNR is not lower over the seeds that both have"
    far = findings.span([cost.gap for cost in found], 2)
    sure = sum(bool(decided(cost)) for cost in paid)
    where = f" at {sure} of {len(found)} settings" if len(found) > 1 else ""
    if sure:
        gaps = findings.span([cost.gap for cost in paid if decided(cost)], 2)
        return f", for {gaps} dB of PSNR{where}"
    if any(cost.interval for cost in paid):
        shown = f"{far} dB, no {INTERVAL} above 0"
        return f"; that it costs PSNR is not shown ({shown})"
    if len(found) == 1:
        return ", but so far its PSNR is lower"  # the answer says by how much
    return f", but so far its PSNR is {far} dB lower"
