"""Who draws checkerboards on constant codes, and what it costs not to, in sentences."""

from caejax.report.cost import Cost, clean_choices, costs, ripples
from caejax.report.evidence import (
    INTERVAL,
    borne_out,
    decided,
    not_above,
    paired,
    too_few,
)
from caejax.report.fields import choices_and_conditions
from caejax.report.leads import leads, name_of
from caejax.report.read import SweepFiles
from caejax.report.words import NAMED, joined, ripple, settings, span


def draws(sweep: SweepFiles) -> list[str]:
    """Who draws checkerboards on constant codes, and what the cleanest cost."""
    values = ripples(sweep)
    if not values:
        return []
    clean = clean_choices(values)
    dirty = [choice for choice in values if choice not in clean]
    if not dirty:
        worst = max(max(v) for v in values.values())
        return [
            "No run draws a checkerboard on constant codes: "
            f"DC ripple is at most {ripple(worst)}, which is rounding."
        ]
    loud = _loud({choice: values[choice] for choice in dirty}, bool(clean))
    if not clean:
        everyone = "All draw" if len(dirty) > 1 else "It draws"
        return [f"{everyone} checkerboards on constant codes: {loud}."]
    names = joined([name_of(choice) for choice in clean])
    quietest = max(max(values[choice]) for choice in clean)
    text = (
        f"Free of checkerboards on constant codes: {names}, with a DC ripple of at "
        f"most {ripple(quietest)} in any run; {loud}."
    )
    return [text, *_price(sweep, costs(sweep, clean))]


def _loud(values, others):
    """What those that draw have: each one the range over its runs, or all together."""
    whose = "its" if len(values) == 1 else "their"
    runs = f" over {whose} runs" if max(map(len, values.values())) > 1 else ""
    if len(values) > NAMED:
        every = [x for found in values.values() for x in found]
        who = f"the other {len(values)}" if others else f"the {len(values)}"
        return f"{who} draw {_range(every)}{runs}"
    verbs = ["draws ", *[""] * (len(values) - 1)]
    parts = [
        f"{name_of(choice)} {verb}{_range(found)}"
        for verb, (choice, found) in zip(verbs, values.items(), strict=True)
    ]
    return joined(parts) + runs


def _range(values):
    low, high = (ripple(x) for x in (min(values), max(values)))
    return low if low == high else f"{low.split(' ')[0]} to {high}"


def _price(sweep, found: list[Cost]):
    """What PSNR it costs to choose only among the clean ones, as far as seeds tell."""
    paid = [cost for cost in found if cost.best != cost.clean]
    if not found:
        return []
    if not paid:
        names = list(dict.fromkeys(name_of(cost.clean) for cost in found))
        if len(names) == 1:
            return [f"{names[0]}, which draws none, has the highest PSNR, too."]
        return ["At each setting a decoder that draws none has the highest PSNR."]
    if len(found) == 1:
        if not paid[0].interval and [paid[0].clean] == [x.second for x in leads(sweep)]:
            return []  # the sentence on the lead says it
        return [_one_price(*paid, len(clean_choices(ripples(sweep))))]
    _, conditions = choices_and_conditions(sweep)
    where = settings(len(found), conditions)
    names = list(dict.fromkeys(name_of(cost.clean) for cost in found))
    who = f" ({joined(names)})" if len(names) <= NAMED else ""
    if not any(cost.interval for cost in paid):
        return [
            f"The best of those that are{who} lies {_gaps(found)} dB of PSNR below the "
            f"highest at {where}; {too_few(paired(paid))} what it costs to be free of "
            "them."
        ]
    sure = [cost for cost in paid if decided(cost)]
    if not sure:
        return [
            "These seeds do not show that it costs PSNR to be free of them, at none of "
            f"{where}: the best of those that are{who} lies {_gaps(found)} dB below "
            f"the highest, and their {INTERVAL}s {not_above(paid)}."
        ]
    rest = "" if len(sure) == len(found) else "; elsewhere no cost is shown"
    bounds = [cost.interval for cost in sure if cost.interval]
    ends = f"{min(low for low, _ in bounds):.2f} to {max(x for _, x in bounds):.2f}"
    return [
        f"To be free of them costs {_gaps(sure)} dB of PSNR at {len(sure)} of {where}"
        f"{who}, {INTERVAL}s from {ends}{rest}."
    ]


def _one_price(cost, free):
    gap, clean, best = _gaps([cost]), name_of(cost.clean), name_of(cost.best)
    if decided(cost):
        told = borne_out(cost)
        return f"To be free of them costs {gap} dB of PSNR, with {clean} ({told})."
    if cost.interval is not None:
        return (
            f"These seeds do not show that it costs PSNR to be free of them: {clean} "
            f"lies {gap} dB below {best}, {borne_out(cost)}, which "
            f"{not_above([cost])}."
        )
    told = borne_out(cost, "below")
    who = clean if free == 1 else f"The best of those that are, {clean},"
    return (
        f"{who} lies {gap} dB of PSNR below {best} ({told}); "
        f"{too_few(len(cost.differences))} what it costs to be free of them."
    )


def _gaps(found):
    gaps = [cost.gap for cost in found]
    return span(gaps, 2) if max(map(abs, gaps)) >= 0.005 else "less than 0.01"
