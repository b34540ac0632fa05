"""What a sweep asks, and what its numbers answer, in sentences."""

import numpy as np

from caejax.corruptions import CORRUPTIONS
from caejax.errors import lookup
from caejax.metrics.table import METRICS, PERIODS, ROUNDING_DB, column, formatted
from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.judgement import Rival, rivals
from caejax.report.leads import (
    INPUT,
    INTERVAL,
    LEVEL,
    PSNR,
    SSIM,
    Lead,
    Setting,
    done,
    leads,
    name_of,
    scores_of,
)
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.settings import label
from caejax.report.statistics import TOO_FEW

RIPPLE = column(METRICS["dc_ripple_db"], max(PERIODS), "test")  # sees 2 and 4, too
_NAMED = 3  # conditions or choices that a sentence has room for


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


def answer(sweep: SweepFiles) -> list[str]:
    """The answer, the most important sentence first: who is best, and of whom."""
    choices, _ = choices_and_conditions(sweep)
    found = leads(sweep)
    if not found:
        return ["No finished run has a PSNR, so there is nothing to compare."]
    judged = held_against_references(sweep, found)
    sentences = _verdict(sweep, found, judged) + _best(sweep, found)
    sentences += _references(sweep, found, judged) + _ripples(sweep)
    if any(lead.second for lead in found):
        sentences.append(_evidence(found))
    return sentences + _against_input(found, bool(choices))


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


def _verdict(sweep, found, judged):
    """Who is best, and whether a reference is better: the sentence to be remembered."""
    compared = [lead for lead in found if lead.second]
    parts = [_who_is_best(sweep, compared)] if compared else []
    parts += _who_is_better([rivals[0] for rivals in judged if rivals], bool(compared))
    return [f"{'; '.join(parts)}."] if parts else []


def _who_is_best(sweep, compared):
    choices, conditions = choices_and_conditions(sweep)
    wins: dict[Setting, int] = {}
    for lead in compared:
        wins[lead.best] = wins.get(lead.best, 0) + 1
    ranked = sorted(wins, key=wins.get, reverse=True)
    among = " of the decoders" if DECODER in choices else ""
    name = _choice(choices, ranked[0])
    if len(ranked) > 1:
        others = [f"{_choice(choices, x)} at {wins[x]}" for x in ranked[1:_NAMED]]
        others += (
            [f"others at {n}"] if (n := sum(map(wins.get, ranked[_NAMED:]))) else []
        )
        where = f" at {wins[ranked[0]]} of {len(compared)} settings of "
        where += f"{_joined([label(f) for f in conditions])}, {_joined(others)}"
    elif len(compared) > 1:
        where = f" at every {_joined([label(f) for f in conditions])}"
    else:
        where = ""
    return f"{name} is best{among}{where}{_how_sure(compared)}"


def _choice(choices, setting):
    """A choice's name: of decoders it says enough, a number needs its field."""
    if DECODER in choices:
        return name_of(setting)
    return ", ".join(f"{label(f)} {x}" for f, x in zip(choices, setting, strict=True))


def _how_sure(compared):
    seeds = max((len(lead.differences) for lead in compared), default=0)
    if all(lead.p not in ("", TOO_FEW) and float(lead.p) <= LEVEL for lead in compared):
        return ""
    if all(lead.p in ("", TOO_FEW) for lead in compared):
        count = f"{seeds} seeds" if seeds > 1 else "one seed"
        return f", as far as {count} can tell"
    return ", but not every lead is sure"


def _who_is_better(tops, several):
    """What the strongest references of all conditions say, if there are any."""
    if not tops:
        return []
    better = [rival for rival in tops if rival.better]
    level = [rival for rival in tops if rival.better is None]
    whom = "all" if several else "the model"
    if named := better or level:
        names = list(dict.fromkeys(rival.name for rival in named))
        verb = "is" if len(names) == 1 else "are"
        what = f"better than {whom}" if better else f"level with {_the_best(several)}"
        where = f" at {len(named)} of {len(tops)}" if len(named) < len(tops) else ""
        return [f"{_joined(names[:_NAMED])} {verb} {what}{where}"]
    nearest = max(tops, key=lambda rival: rival.lead)
    return [
        f"no other estimator is better: {nearest.name} comes nearest, "
        f"{-nearest.lead:.2f} dB below {_the_best(several)}"
    ]


def _the_best(several):
    return "the best" if several else "the model"


def _references(sweep, found, judged):
    """How far the strongest reference of each condition is from the best choice."""
    _, conditions = choices_and_conditions(sweep)
    zipped = zip(found, judged, strict=True)
    pairs = [(lead, rivals[0]) for lead, rivals in zipped if rivals]
    if not pairs:
        return []
    if len(pairs) > _NAMED:
        far = _span([rival.lead for _, rival in pairs], 2)
        names = list(dict.fromkeys(rival.name for _, rival in pairs))
        return [
            f"The strongest other estimator ({_joined(names[:_NAMED])}) lies {far} dB "
            "of PSNR from the best, above where that is positive."
        ]
    parts = [
        f"{rival.name} {_apart(rival)} {name_of(lead.best)}"
        f"{_where(lead, conditions)}{_bracketed(_sure(rival))}"
        for lead, rival in pairs
    ]
    return [f"In PSNR, {'; '.join(parts)}."]


def _apart(rival):
    way = "above" if rival.lead > 0 else "below"
    return f"lies {abs(rival.lead):.2f} dB {way}"


def _where(lead, conditions):
    if not conditions:
        return ""
    pairs = zip(conditions, lead.condition, strict=True)
    return f" at {_joined([f'{label(field)} {value}' for field, value in pairs])}"


def _sure(found):
    """How sure a difference is: its interval, else in how many seeds; "" of one."""
    if found.interval is not None:
        return "{} {:.2f} to {:.2f}".format(INTERVAL, *found.interval)
    if len(found.differences) < 2:
        return ""
    ahead = sum(d > 0 for d in found.differences)
    return f"ahead in {ahead} of {len(found.differences)} seeds"


def _bracketed(*texts):
    told = ", ".join(filter(None, texts))
    return f" ({told})" if told else ""


def _best(sweep, found):
    """The best choice at each condition, or how often each is best."""
    _, conditions = choices_and_conditions(sweep)
    winners = list(dict.fromkeys(lead.best for lead in found))
    what = f"mean PSNR of {seeds} seeds" if (seeds := _seeds(found)) > 1 else "PSNR"
    if len(found) > _NAMED:
        return [_wins(found, winners, conditions, what)]
    if len(winners) > 1:
        parts = [f"{name_of(lead.best)}, {_gain(lead, conditions)}" for lead in found]
        return [f"Highest {what}: {'; '.join(parts)}."]
    verb = "has the highest" if found[0].second else "has a"
    if len(found) == 1:
        return [f"{name_of(winners[0])} {verb} {what}: {_gain(found[0], [])}."]
    parts = [_gain(lead, conditions) for lead in found]
    return [f"{name_of(winners[0])} always {verb} {what}: {'; '.join(parts)}."]


def _seeds(found):
    return max(len(lead.scores) for lead in found)


def _wins(found, winners, conditions, what):
    wins = {w: sum(lead.best == w for lead in found) for w in winners}
    ranked = sorted(winners, key=wins.get, reverse=True)
    where = f"{len(found)} settings of {_joined([label(f) for f in conditions])}"
    counts = [f"{name_of(winner)} at {wins[winner]}" for winner in ranked[:_NAMED]]
    if others := sum(wins[winner] for winner in ranked[_NAMED:]):
        counts.append(f"others at {others}")
    text = f"Of {where}, the highest {what} is that of {_joined(counts)}"
    means = [np.mean(lead.differences) for lead in found if lead.differences]
    return f"{text}; leads are {_span(means, 2)} dB." if means else f"{text}."


def _gain(lead, conditions):
    """PSNR, where, and lead."""
    text = f"{np.mean(lead.scores):.2f} dB"
    text += _where(lead, conditions)
    if not lead.differences:
        return text
    above = f"{np.mean(lead.differences):.2f} dB above {name_of(lead.second)}"
    return text + _bracketed(above, _sure(lead))


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
    for row in done(sweep, RIPPLE):
        values.setdefault(tuple(row[f] for f in choices), []).append(row[RIPPLE])
    if not values:
        return []
    means = {choice: np.mean(v) for choice, v in values.items()}
    clean = [choice for choice, v in values.items() if max(v) < ROUNDING_DB]
    dirty = sorted((c for c in means if c not in clean), key=means.get)
    if not dirty:
        worst = max(max(v) for v in values.values())
        return [
            "No run draws a checkerboard on constant codes: "
            f"DC ripple is at most {_db(worst)}, which is rounding."
        ]
    names = _joined([name_of(choice) for choice in clean])
    loud = f"{name_of(dirty[-1])} ripples most ({_db(means[dirty[-1]])} on average)"
    if len(dirty) > 1:
        loud += f", {name_of(dirty[0])} least ({_db(means[dirty[0]])})"
    if not clean:
        everyone = "All draw" if len(dirty) > 1 else "It draws"
        return [f"{everyone} checkerboards on constant codes: {loud}."]
    quietest = max(max(values[choice]) for choice in clean)
    of_rest = "; of the others, " if len(dirty) > 1 else "; "
    text = (
        f"Free of checkerboards on constant codes: {names}, with a DC ripple of at "
        f"most {_db(quietest)} in any run{of_rest}{loud}."
    )
    return [text, *_price(scores_of(sweep), clean)]


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
    who = f", with {_joined(list(map(name_of, names)))}" if len(names) <= _NAMED else ""
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
        clean = values[RIPPLE] < ROUNDING_DB
        sentences.append(
            f"On constant codes its DC ripple is {_db(values[RIPPLE])}: "
            + ("no checkerboard, only rounding." if clean else "it checkerboards.")
        )
    seeds = "One run has one seed: another may differ."
    return [sentences[0], *_run_references(run), *sentences[1:], seeds]


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
    better = [rival for rival in found if rival.better]
    if not better:
        return [
            f"It is better than the {len(found)} other estimators that were measured: "
            f"{found[0].name} comes nearest, {-found[0].lead:.2f} dB below."
            if len(found) > 1
            else f"It is better than {found[0].name}, by {-found[0].lead:.2f} dB."
        ]
    ahead = [f"{rival.name} by {rival.lead:.2f} dB" for rival in better[:_NAMED]]
    rest = f" (and {len(better) - _NAMED} more)" if len(better) > _NAMED else ""
    return [f"Better than this model in PSNR: {_joined(ahead)}{rest}."]
