"""What to do next, from what a run's or a sweep's files show."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from caejax.corruptions import CORRUPTIONS, DENOISE
from caejax.metrics.table import ROUNDING_DB
from caejax.report import findings
from caejax.report.figures import curve
from caejax.report.judgement import Rival
from caejax.report.leads import INPUT, LEVEL, PSNR, leads, name_of, scores_of
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.statistics import TOO_FEW, smallest_p

_MOST = 4  # things to do at a time
_FALLING = 0.01  # of a loss in a fifth of the training, at least
_CHEAP = 0.1  # dB that being free of checkerboards may cost without a thought


def next_steps(sweep: SweepFiles) -> list[str]:
    """What to do next after a sweep, the most urgent first; code is in backticks."""
    found = leads(sweep)
    if not found:
        return ["Mend what the failed runs name below, and run the same command again."]
    judged = findings.held_against_references(sweep, found)
    below = [lead for lead in found if lead.input and np.mean(lead.scores) < lead.input]
    steps = [
        *_train_longer(list(sweep.runs.values()), bool(below), sweep.config),
        *_without_checkerboards(sweep),
        *_against_rivals([rivals[0] for rivals in judged if rivals]),
        *([] if any(judged) else _measure_references(sweep.config)),
        *_more_seeds(sweep, found),
    ]
    return steps[:_MOST]


def run_next_steps(run: RunFiles) -> list[str]:
    """What to do next after a single run, as `next_steps`."""
    below = run.summary[PSNR] < run.summary.get(INPUT, -np.inf)
    rivals = findings.run_rivals(run)
    steps = [
        *_train_longer([run], below, run.config),
        *_against_rivals(rivals[:1]),
        *([] if rivals else _measure_references(run.config)),
    ]
    if run.summary.get(findings.RIPPLE, -np.inf) >= ROUNDING_DB:
        steps.append(
            "If its checkerboard matters, take a decoder that cannot draw one "
            "(`model.upsampling=nearest_k3`), or mend this one with `caejax fix`."
        )
    return steps[:_MOST]


def _train_longer(runs: Sequence[RunFiles], below: bool, config: dict[str, Any]):
    falling = sum(still_falling(run.rows) for run in runs)
    if not falling:
        return (
            [
                "Try a larger model or a smaller learning rate: more of the same "
                "training will not lift it above its input."
            ]
            if below
            else []
        )
    epochs = config.get("train", {}).get("epochs")
    more = f", `--config.train.epochs={2 * epochs}` for instance" if epochs else ""
    whose = "The" if len(runs) == 1 else f"In {falling} of {len(runs)} runs the"
    return [f"Train longer{more}. {whose} validation loss was still falling."]


def still_falling(rows: Iterable[dict[str, Any]]) -> bool:
    """Whether the validation loss fell by a hundredth in the last fifth of training.

    Args:
      rows: the rows of metrics.jsonl.
    """
    losses = curve(list(rows), "loss", "val")
    if len(losses) < 3:
        return False
    steps, values = np.array(losses).T
    before = values[steps <= 0.8 * steps[-1]][-1]
    return bool(values[-1] < (1 - _FALLING) * before)


def _against_rivals(tops: Sequence[Rival]):
    better = [rival for rival in tops if rival.better]
    if not better:
        return []
    strongest = max(better, key=lambda rival: rival.lead)
    return [
        f"Until a model beats it, {strongest.name} is the better choice where only "
        "PSNR counts; a model gains by more training, data or width."
    ]


def _measure_references(config):
    name = config.get("corruption", {}).get("name", "")
    if name in CORRUPTIONS and CORRUPTIONS[name].task != DENOISE:
        return []
    return [
        "Measure what else could be done with these images, by PCA and a median filter "
        "for instance: `caejax eval --workdir=DIR --references=median,pca`, "
        "then `caejax report --workdir=DIR`."
    ]


def _more_seeds(sweep, found):
    compared = [lead for lead in found if lead.differences]
    if not compared or any(lead.p != TOO_FEW for lead in compared):
        return []
    pairs = sum(len(s) * (len(s) - 1) // 2 for s in scores_of(sweep).values())
    enough = next(n for n in count(2) if pairs * smallest_p(n) <= LEVEL)
    return [
        f"Run at least {enough} seeds: with fewer, no lead between {pairs} pairs of "
        "settings can pass a test."
        if pairs > 1
        else f"Run at least {enough} seeds: with fewer, no lead can pass a test."
    ]


def _without_checkerboards(sweep):
    """Which decoder to take if patterns matter."""
    ripples: dict[Any, list[float]] = {}
    for scores in scores_of(sweep, findings.RIPPLE).values():
        for choice, seeds in scores.items():
            ripples.setdefault(choice, []).extend(seeds.values())
    clean = {choice for choice, values in ripples.items() if max(values) < ROUNDING_DB}
    if not ripples or clean == set(ripples):
        return []
    if not clean:
        return [
            "Add a decoder that cannot draw a checkerboard, `nearest_k3` for instance, "
            "to see what that costs; `caejax fix` mends trained ones."
        ]
    totals: dict[Any, list[float]] = {}
    for scores in scores_of(sweep, PSNR).values():
        for choice, seeds in scores.items():
            totals.setdefault(choice, []).append(float(np.mean(list(seeds.values()))))
    means = {choice: float(np.mean(values)) for choice, values in totals.items()}
    best, tidy = max(means.values()), max(clean & set(means), key=means.get)
    cost = best - means[tidy]
    price = (
        "at no cost in PSNR" if cost <= 0 else f"for {cost:.2f} dB of PSNR on average"
    )
    must = "Take" if cost <= _CHEAP else "If patterns matter more than PSNR, take"
    return [f"{must} {name_of(tidy)}: it draws no checkerboard, {price}."]
