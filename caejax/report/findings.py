"""What a sweep asks, and what its numbers answer, in sentences."""

import numpy as np

from caejax.corruptions import CORRUPTIONS
from caejax.errors import lookup
from caejax.metrics.table import ROUNDING_DB, formatted
from caejax.report import below_input
from caejax.report.cost import RIPPLE
from caejax.report.evidence import (
    INTERVAL,
    LEVEL,
    borne_out,
    decided,
    needed,
    paired,
    these,
)
from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.intervals import ENOUGH
from caejax.report.judgement import Rival, rivals
from caejax.report.leads import (
    GREY,
    INPUT,
    INPUT_SSIM,
    PSNR,
    SSIM,
    Lead,
    done,
    is_corrupted,
    leads,
    name_of,
    pairs_of,
    scores_of,
)
from caejax.report.missing import first_look
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.ripples import draws
from caejax.report.settings import label
from caejax.report.sizes import sizes
from caejax.report.statistics import TOO_FEW
from caejax.report.verdict import nearest_below, verdict, wins_of
from caejax.report.words import (
    NAMED,
    at,
    begun,
    bracketed,
    joined,
    ripple,
    settings,
    some,
    span,
)


def question(sweep: SweepFiles) -> str:
    """What the sweep asks, from the fields it varies."""
    choices, conditions = choices_and_conditions(sweep)
    where = joined([label(f).removesuffix(" channels") for f in conditions])
    where = f"at each {where}" if where else ""
    probed = any(RIPPLE in row for row in sweep.rows)
    if DECODER in choices:
        text = f"Which upsampling should this decoder use{_comma(where)}"
    elif choices:
        names = joined([label(f) for f in choices])
        text = f"Which {names} reconstructs best{_comma(where)}"
    else:
        text = "How well does this model reconstruct, and how much is the seed's doing"
    tail = "and how badly does it checkerboard" if probed and choices else ""
    return f"{text}{_comma(tail)}?"


def _comma(text):
    return f", {text}" if text else ""


def answer(sweep: SweepFiles) -> list[str]:
    """The answer, the most important sentences first: who is best, and of whom."""
    found = leads(sweep)
    if not found:
        return ["No finished run has a PSNR, so there is nothing to compare."]
    judged = held_against_references(sweep, found)
    return [
        *first_look(sweep),
        *verdict(sweep, found, judged),
        *below_input.told(sweep, found),
        *_best(sweep, found),
        *sizes(sweep),
        *_references(sweep, found, judged),
        *draws(sweep),
        *_evidence(sweep, found),
    ]


def held_against_references(sweep: SweepFiles, found: list[Lead]) -> list[list[Rival]]:
    """The references of each condition against its best choice, the strongest first.

    The corrupted input is none of them: `answer` has a sentence of its own for it.
    """
    choices, conditions = choices_and_conditions(sweep)
    references = [row for row in sweep.references if row["reference"] != "input"]
    judged = []
    for lead in found:
        at = dict(zip(choices + conditions, lead.best + lead.condition, strict=True))
        rows = [row for row in done(sweep, PSNR) if all(row[f] == at[f] for f in at)]
        judged.append(
            rivals(rows, references, sweep.fields, PSNR, comparisons=len(found))
        )
    return judged


def _references(sweep, found, judged):
    """How far the strongest reference of each condition is from the best choice.

    A single one, if its distance is not in the verdict already.
    """
    _, conditions = choices_and_conditions(sweep)
    zipped = zip(found, judged, strict=True)
    pairs = [(lead, rivals[0]) for lead, rivals in zipped if rivals]
    if not pairs:
        return []
    if len(pairs) == 1 and nearest_below([pairs[0][1]]):
        return []
    if len(pairs) > NAMED:
        return [_far_away([rival for _, rival in pairs])]
    parts = [
        f"{rival.name} {_apart(rival, name_of(lead.best))}"
        f"{at(lead.condition, conditions)}{bracketed(borne_out(rival))}"
        for lead, rival in pairs
    ]
    return [f"In PSNR, {'; '.join(parts)}."]


def _far_away(tops):
    """How far the strongest references are at many conditions."""
    far = span([rival.lead for rival in tops], 2)
    names = list(dict.fromkeys(rival.name for rival in tops))
    text = (
        f"The strongest other estimator ({some(names)}) lies {far} dB of "
        "PSNR from the best, above where that is positive"
    )
    if not any(rival.interval for rival in tops):
        return f"{text}, in {these(tops)}."
    told = sum(rival.better is not None for rival in tops)
    return f"{text}; at {told} of {len(tops)} the interval excludes 0."


def _apart(rival, best):
    if rival.interval is not None and rival.better is None:
        return f"cannot be told from {best}"
    way = "above" if rival.lead > 0 else "below"
    return f"lies {abs(rival.lead):.2f} dB {way} {best}"


def _best(sweep, found):
    """The highest PSNR at each condition, or how often each choice has it."""
    _, conditions = choices_and_conditions(sweep)
    winners = list(dict.fromkeys(lead.best for lead in found))
    what = highest(found)
    if len(found) > NAMED:
        return [_wins(found, conditions, what)]
    if len(winners) > 1:
        parts = [
            f"{name_of(lead.best)}, {_gain(lead, conditions, False)}" for lead in found
        ]
        return [f"Highest {what}: {'; '.join(parts)}."]
    verb = "has the highest" if found[0].second else "has a"
    parts = [_gain(lead, conditions, len(found) == 1) for lead in found]
    return [begun(f"{name_of(winners[0])} {verb} {what}: {'; '.join(parts)}.")]


def highest(found: list[Lead]) -> str:
    """What is compared: the PSNR, or of several seeds its mean."""
    fewest, most = (f(len(lead.scores) for lead in found) for f in (min, max))
    if most == 1:
        return "PSNR"
    return f"mean PSNR of {most if fewest == most else f'{fewest} to {most}'} seeds"


def _wins(found, conditions, what):
    wins = wins_of(found)
    ranked = sorted(wins, key=wins.get, reverse=True)
    where = settings(len(found), conditions)
    counts = [f"{name_of(winner)} at {wins[winner]}" for winner in ranked[:NAMED]]
    if others := sum(wins[winner] for winner in ranked[NAMED:]):
        counts.append(f"others at {others}")
    text = f"Of {where}, the highest {what} is that of {joined(counts)}"
    means = [np.mean(lead.differences) for lead in found if lead.differences]
    return f"{text}; leads are {span(means, 2)} dB." if means else f"{text}."


def _gain(lead, conditions, alone):
    """PSNR, where, and lead; of one lead alone the verdict has it with its interval."""
    text = f"{np.mean(lead.scores):.2f} dB"
    text += at(lead.condition, conditions)
    if not lead.differences or (alone and lead.interval):
        return text
    above = f"{np.mean(lead.differences):.2f} dB above {name_of(lead.second)}"
    above += " over the seeds that both have" * lead.uneven
    return text + bracketed(above, borne_out(lead))


def _evidence(sweep, found):
    """How far leads can be trusted; of too few seeds the verdict has said it."""
    compared = [lead for lead in found if lead.differences]
    if paired(compared) < ENOUGH:
        return []
    tested = [lead.p for lead in compared if lead.p != TOO_FEW]
    if tested:
        sure = sum(bool(decided(lead)) for lead in compared if lead.p != TOO_FEW)
        return [
            f"{sure} of {len(compared)} leads pass a paired sign-flip test "
            f"(p at most {LEVEL}, corrected for all pairs of settings)."
        ]
    sure = sum(bool(decided(lead)) for lead in compared)
    pairs = pairs_of(scores_of(sweep))
    enough = needed(pairs)
    takes = f"takes {enough} seeds" if enough else f"cannot find one of {pairs:,} pairs"
    return [
        f"The {INTERVAL} (Student's) lies above 0 for {sure} of {len(compared)} leads; "
        f"a paired sign-flip test, which assumes less, {takes}."
    ]


def run_question(run: RunFiles) -> str:
    """What a single run asks."""
    verb = lookup(CORRUPTIONS, run.config["corruption"]["name"], "corruption.name").task
    ripples = ", and how badly does it checkerboard" if RIPPLE in run.summary else ""
    return f"How well does this model {verb}{ripples}?"


def run_answer(run: RunFiles) -> list[str]:
    """What a single run's values answer."""
    values = run.summary
    text = f"Test PSNR is {formatted(PSNR, values[PSNR])} dB"
    if is_corrupted(values.get(INPUT)):
        gain = values[PSNR] - values[INPUT]
        text += (
            f", {abs(gain):.2f} dB {'above' if gain >= 0 else 'below'} the input's "
            f"{formatted(INPUT, values[INPUT])} dB"
        )
    if SSIM in values:  # larger images than its window
        text += f"; SSIM is {formatted(SSIM, values[SSIM])}"
        if INPUT_SSIM in values and is_corrupted(values.get(INPUT)):
            text += f", the input's {formatted(INPUT_SSIM, values[INPUT_SSIM])}"
    sentences = [f"{text}."]
    if RIPPLE in values:
        clean = values[RIPPLE] < ROUNDING_DB
        sentences.append(
            f"On constant codes its DC ripple is {_ripple_of(values)}: "
            + ("no checkerboard, only rounding." if clean else "it checkerboards.")
        )
    seeds = "One run has one seed: another may differ."
    return [sentences[0], *_run_references(run), *sentences[1:], seeds]


def _ripple_of(values):
    """A run's DC ripple, in grey levels too where these are known and not rounding."""
    text = ripple(values[RIPPLE])
    if GREY not in values or values[RIPPLE] < ROUNDING_DB:
        return text
    return f"{text}, {formatted(GREY, values[GREY])} grey levels of 255"


def run_rivals(run: RunFiles) -> list[Rival]:
    """A run's references against its model, the strongest first; not the input."""
    if not run.references:
        return []
    row = {"seed": run.config["seed"], **run.summary}
    references = [row for row in run.references if row["reference"] != "input"]
    return rivals([row], references, [], PSNR)


def _run_references(run):
    found = run_rivals(run)
    if not found:
        return []
    ahead = [rival for rival in found if rival.lead > 0]
    if not ahead:
        nearest = f"{found[0].name} comes nearest, {-found[0].lead:.2f} dB below"
        whom = f"Of {len(found)} other estimators" if len(found) > 1 else "Of others"
        return [f"{whom} on these images none has a higher PSNR: {nearest}."]
    named = [f"{rival.name} by {rival.lead:.2f} dB" for rival in ahead[:NAMED]]
    rest = f" (and {len(ahead) - NAMED} more)" if len(ahead) > NAMED else ""
    return [f"Above this model in PSNR: {joined(named)}{rest}."]
