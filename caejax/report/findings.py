"""What a sweep asks, and what its numbers answer, in sentences."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from caejax.corruptions import CORRUPTIONS
from caejax.errors import lookup
from caejax.metrics.table import METRICS, PERIODS, column, formatted, title
from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.figures import QUALITY, label
from caejax.report.groups import crossed_difference
from caejax.report.intervals import Crossed, mean_interval
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.statistics import (
    TOO_FEW,
    format_p,
    sign_flip_interval,
    sign_flip_p,
    smallest_p,
)

PSNR, INPUT, SSIM = QUALITY, "test/psnr_noisy", "test/ssim"
GREY = column(METRICS["dc_ripple_grey"], max(PERIODS), "test")
RIPPLE = column(METRICS["dc_ripple_db"], max(PERIODS), "test")  # sees 2 and 4, too
CLEAN_DB = -100  # below is rounding
LEVEL = 0.05
_INTERVAL = "simultaneous 95 % interval"
_NAMED = 3  # conditions or choices that a sentence has room for

Setting = tuple[Any, ...]
Scores = dict[Setting, dict[int, float]]


class Lead(NamedTuple):
    """The best choice at one condition, and how far it is ahead.

    Attributes:
      condition: the values of the fields that set the condition.
      best: the values of the fields of the best choice.
      second: the values of the fields of the second best choice, or None.
      scores: the best choice's PSNR, a value a seed.
      input: the corrupted input's mean PSNR over the best choice's runs, or None.
      differences: PSNR of best minus second, a value for each seed that both have.
      interval: the interval of their mean, simultaneous 95 % over all pairs of choices
        at all conditions; None where there are too few seeds for p.
      p: the p as text, corrected for the same pairs.
      others: how far best lies above second in other measures, a value for each seed
        that both have, by column.
      crossed: the difference in PSNR for other photographs, too, where runs have kept
        values of each; else None.
    """

    condition: Setting
    best: Setting
    second: Setting | None
    scores: Sequence[float]
    input: float | None
    differences: Sequence[float]
    interval: tuple[float, float] | None
    p: str
    others: Mapping[str, Sequence[float]] = MappingProxyType({})
    crossed: Crossed | None = None


def question(sweep: SweepFiles) -> str:
    """What the sweep asks, from the fields it varies."""
    choices, conditions = choices_and_conditions(sweep)
    where = _joined([label(f).removesuffix(" channels") for f in conditions])
    where = f"at each {where}" if where else ""
    ripples = any(RIPPLE in row for row in sweep.rows)
    if DECODER in choices:
        text = f"Which upsampling should this decoder use{_comma(where)}"
    elif choices:
        names = _joined([label(f) for f in choices])
        text = f"Which {names} reconstructs best{_comma(where)}"
    else:
        text = "How well does this model reconstruct, and how much is the seed's doing"
    tail = "and how badly does it checkerboard" if ripples and choices else ""
    return f"{text}{_comma(tail)}?"


def _comma(text):
    return f", {text}" if text else ""


def _joined(words):
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def leads(sweep: SweepFiles) -> list[Lead]:
    """The best choice at each condition, in the order of the sweep.

    Best is the highest mean PSNR over seeds. Since the data themselves say which
    two are compared, p is multiplied by the number of all pairs that might have
    been (Bonferroni), and an interval misses by that many times less often.
    """
    groups = _scores(sweep)
    pairs = sum(len(list(combinations(scores, 2))) for scores in groups.values())
    inputs = _inputs(sweep)
    return [
        _in_other_ways(sweep, _lead(condition, scores, inputs.get(condition), pairs))
        for condition, scores in groups.items()
    ]


def _in_other_ways(sweep, lead):
    """A lead with what other measures, and other photographs, say of it."""
    if lead.second is None:
        return lead
    others = {
        name: _paired(_scores(sweep, name).get(lead.condition, {}), lead)
        for name in (SSIM, GREY)
    }
    ids = _scores(sweep, "run_id").get(lead.condition, {})
    ours, theirs = (ids.get(choice, {}) for choice in (lead.best, lead.second))
    pairs = [
        (sweep.runs.get(theirs[seed]), sweep.runs.get(ours[seed]))
        for seed in ours
        if seed in theirs
    ]
    whole = all(run is not None for pair in pairs for run in pair)
    crossed = crossed_difference(pairs, PSNR) if whole else None
    return lead._replace(
        others={name: x for name, x in others.items() if x}, crossed=crossed
    )


def _paired(scores, lead):
    ours, theirs = (scores.get(choice, {}) for choice in (lead.best, lead.second))
    return [ours[seed] - theirs[seed] for seed in ours if seed in theirs]


def _scores(sweep, name=PSNR) -> dict[Setting, Scores]:
    """A column by condition, choice and seed."""
    choices, conditions = choices_and_conditions(sweep)
    groups: dict[Setting, Scores] = {}
    for row in _done(sweep, name):
        at = groups.setdefault(tuple(row[f] for f in conditions), {})
        at.setdefault(tuple(row[f] for f in choices), {})[row["seed"]] = row[name]
    return groups


def _done(sweep, name):
    return [r for r in sweep.rows if r["status"] == "done" and name in r]


def _inputs(sweep):
    conditions = choices_and_conditions(sweep)[1]
    values: dict[Setting, list[float]] = {}
    for row in _done(sweep, INPUT):
        values.setdefault(tuple(row[f] for f in conditions), []).append(row[INPUT])
    return {condition: float(np.mean(v)) for condition, v in values.items()}


def _lead(condition, scores, input_psnr, pairs):
    means = {choice: np.mean(list(seeds.values())) for choice, seeds in scores.items()}
    best, *rest = sorted(means, key=means.get, reverse=True)
    second = rest[0] if rest else None
    ours, theirs = scores[best], scores.get(second, {})
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    interval, p = None, ""
    if differences:
        adjusted = min(1.0, pairs * sign_flip_p(differences))
        smallest = min(1.0, pairs * smallest_p(len(differences)))
        p = format_p(adjusted, smallest, level=LEVEL)
    if p not in ("", TOO_FEW):
        interval = sign_flip_interval(differences, confidence=1 - LEVEL / pairs)
    values = list(ours.values())
    return Lead(condition, best, second, values, input_psnr, differences, interval, p)


def leads_table(sweep: SweepFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a condition, its best choice and how far it leads.

    Empty where nothing is compared.
    """
    _, conditions = choices_and_conditions(sweep)
    found = [lead for lead in leads(sweep) if lead.second is not None]
    if not found:
        return [], []
    header = [*conditions, "best", "PSNR (dB)", "input's PSNR", "runner-up"]
    header += ["lead (dB)", _INTERVAL, "seeds ahead", "p"]
    header += [f"lead in {title(name, short=True)}" for name in (SSIM, GREY)]
    header += ["lead (dB) for other photographs, too"]
    lines = [_lead_line(lead) for lead in found]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    return [header[i] for i in filled], [[line[i] for i in filled] for line in lines]


def _lead_line(lead):
    ahead = sum(d > 0 for d in lead.differences)
    return [
        *map(str, lead.condition),
        _name(lead.best),
        f"{np.mean(lead.scores):.2f}",
        "" if lead.input is None else f"{lead.input:.2f}",
        _name(lead.second),
        f"{np.mean(lead.differences):.2f}" if lead.differences else "",
        "" if lead.interval is None else "[{:.2f}, {:.2f}]".format(*lead.interval),
        f"{ahead} of {len(lead.differences)}",
        lead.p,
        *(_other(lead, name) for name in (SSIM, GREY)),
        ""
        if lead.crossed is None
        else "{:.2f} [{:.2f}, {:.2f}]".format(*lead.crossed[:3]),
    ]


def _other(lead, name):
    """The mean difference in another measure, and Student's 95 % interval."""
    values = lead.others.get(name)
    if not values:
        return ""
    mean = formatted(name, np.mean(values))
    if len(values) < 2:
        return mean
    low, high = (formatted(name, x) for x in mean_interval(values))
    return f"{mean} [{low}, {high}]"


def _name(setting):
    return ", ".join(map(str, setting)) or "the model"


def answer(sweep: SweepFiles) -> list[str]:
    """The answer, the most important sentence first."""
    choices, _ = choices_and_conditions(sweep)
    found = leads(sweep)
    if not found:
        return ["No finished run has a PSNR, so there is nothing to compare."]
    sentences = _best(sweep, found) + _ripples(sweep)
    if any(lead.second for lead in found):
        sentences.append(_evidence(found))
    return sentences + _against_input(found, bool(choices))


def _best(sweep, found):
    """The best choice at each condition, or how often each is best."""
    _, conditions = choices_and_conditions(sweep)
    winners = list(dict.fromkeys(lead.best for lead in found))
    what = f"mean PSNR of {seeds} seeds" if (seeds := _seeds(found)) > 1 else "PSNR"
    if len(found) > _NAMED:
        return [_wins(found, winners, conditions, what)]
    if len(winners) > 1:
        parts = [f"{_name(lead.best)}, {_gain(lead, conditions)}" for lead in found]
        return [f"Highest {what}: {'; '.join(parts)}."]
    verb = "has the highest" if found[0].second else "has a"
    if len(found) == 1:
        return [f"{_name(winners[0])} {verb} {what}: {_gain(found[0], [])}."]
    parts = [_gain(lead, conditions) for lead in found]
    return [f"{_name(winners[0])} always {verb} {what}: {'; '.join(parts)}."]


def _seeds(found):
    return max(len(lead.scores) for lead in found)


def _wins(found, winners, conditions, what):
    wins = {w: sum(lead.best == w for lead in found) for w in winners}
    ranked = sorted(winners, key=wins.get, reverse=True)
    where = f"{len(found)} settings of {_joined([label(f) for f in conditions])}"
    counts = [f"{_name(winner)} at {wins[winner]}" for winner in ranked[:_NAMED]]
    if others := sum(wins[winner] for winner in ranked[_NAMED:]):
        counts.append(f"others at {others}")
    text = f"Of {where}, the highest {what} is that of {_joined(counts)}"
    means = [np.mean(lead.differences) for lead in found if lead.differences]
    return f"{text}; leads are {_span(means, 2)} dB." if means else f"{text}."


def _gain(lead, conditions):
    """PSNR, where, and lead."""
    text = f"{np.mean(lead.scores):.2f} dB"
    if conditions:
        pairs = zip(conditions, lead.condition, strict=True)
        text += f" at {_joined([f'{label(field)} {value}' for field, value in pairs])}"
    if not lead.differences:
        return text
    return (
        f"{text} ({np.mean(lead.differences):.2f} dB above "
        f"{_name(lead.second)}{_spread(lead)})"
    )


def _spread(lead):
    if lead.interval is not None:
        return ", {} {:.2f} to {:.2f}".format(_INTERVAL, *lead.interval)
    if len(lead.differences) < 2:
        return ""
    ahead = sum(d > 0 for d in lead.differences)
    return f", ahead in {ahead} of {len(lead.differences)} seeds"


def _span(values, digits):
    texts = [f"{value:.{digits}f}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(texts))


def _evidence(found):
    """How far leads can be trusted."""
    compared = [lead for lead in found if lead.differences]
    seeds = max((len(lead.differences) for lead in compared), default=0)
    if seeds < 2:
        return (
            "With one seed a setting, a lead may be chance: run more seeds to tell "
            "how far results of one setting lie apart."
        )
    if all(lead.p == TOO_FEW for lead in compared):
        return (
            f"{seeds} seeds are too few to test these leads: hold them against the "
            "ranges over seeds in the table."
        )
    tested = [lead.p for lead in compared if lead.p != TOO_FEW]
    sure = sum(float(p) <= LEVEL for p in tested)
    return (
        f"{sure} of {len(compared)} leads pass a paired sign-flip test "
        f"(p at most {LEVEL}, corrected for all pairs of settings)."
    )


def _ripples(sweep):
    """Who draws checkerboards on constant codes, and what the cleanest cost."""
    choices, _ = choices_and_conditions(sweep)
    values: dict[Setting, list[float]] = {}
    for row in _done(sweep, RIPPLE):
        values.setdefault(tuple(row[f] for f in choices), []).append(row[RIPPLE])
    if not values:
        return []
    means = {choice: np.mean(v) for choice, v in values.items()}
    clean = [choice for choice, v in values.items() if max(v) < CLEAN_DB]
    dirty = sorted((c for c in means if c not in clean), key=means.get)
    if not dirty:
        worst = max(max(v) for v in values.values())
        return [
            "No run draws a checkerboard on constant codes: "
            f"DC ripple is at most {_db(worst)}, which is rounding."
        ]
    names = _joined([_name(choice) for choice in clean])
    loud = f"{_name(dirty[-1])} ripples most ({_db(means[dirty[-1]])} on average)"
    if len(dirty) > 1:
        loud += f", {_name(dirty[0])} least ({_db(means[dirty[0]])})"
    if not clean:
        everyone = "All draw" if len(dirty) > 1 else "It draws"
        return [f"{everyone} checkerboards on constant codes: {loud}."]
    quietest = max(max(values[choice]) for choice in clean)
    of_rest = "; of the others, " if len(dirty) > 1 else "; "
    text = (
        f"Free of checkerboards on constant codes: {names}, with a DC ripple of at "
        f"most {_db(quietest)} in any run{of_rest}{loud}."
    )
    return [text, *_price(_scores(sweep), clean)]


def _price(groups, clean):
    """What PSNR it costs to choose only among the clean ones."""
    costs, names = [], {}
    for scores in groups.values():
        means = {choice: np.mean(list(s.values())) for choice, s in scores.items()}
        able = [choice for choice in clean if choice in means]
        if able and len(means) > 1:
            best = max(able, key=means.get)
            names[best] = None
            costs.append(max(means.values()) - means[best])
    if not costs:
        return []
    if max(costs) == 0:
        return ["The best PSNR needs no checkerboards: it is among those free of them."]
    who = f", with {_joined(list(map(_name, names)))}" if len(names) <= _NAMED else ""
    cost = _span(costs, 2) if max(costs) >= 0.005 else "less than 0.01"
    return [f"To be free of them costs {cost} dB of PSNR{who}."]


def _db(value):
    return f"{value:.0f} {METRICS['dc_ripple_db'].unit}".replace("-", "−")


def _against_input(found, several):
    worse = [lead for lead in found if lead.input and np.mean(lead.scores) < lead.input]
    if not worse:
        return []
    who = "Even the best" if several else "The model"
    where = f" at {len(worse)} of {len(found)} settings" if len(found) > 1 else ""
    return [
        f"{who} lies below the corrupted input itself{where}: "
        "train longer, or with another model, before you draw conclusions."
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
    if INPUT in values:
        gain = values[PSNR] - values[INPUT]
        text += (
            f", {abs(gain):.2f} dB {'above' if gain >= 0 else 'below'} the input's "
            f"{formatted(INPUT, values[INPUT])} dB"
        )
    if SSIM in values:  # larger images than its window
        text += f"; SSIM is {formatted(SSIM, values[SSIM])}"
    sentences = [f"{text}."]
    if RIPPLE in values:
        clean = values[RIPPLE] < CLEAN_DB
        sentences.append(
            f"On constant codes its DC ripple is {_db(values[RIPPLE])}: "
            + ("no checkerboard, only rounding." if clean else "it checkerboards.")
        )
    return [*sentences, "One run has one seed: another may differ."]
