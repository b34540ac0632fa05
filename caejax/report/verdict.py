"""Who is best, and whether a reference is better: what is to be remembered."""

from collections.abc import Sequence

import numpy as np

from caejax.report.evidence import (
    borne_out,
    decided,
    not_above,
    paired,
    these,
    too_few,
)
from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.judgement import Rival
from caejax.report.leads import Lead, Setting, name_of
from caejax.report.read import SweepFiles
from caejax.report.settings import label
from caejax.report.words import NAMED, begun, joined, settings, some


def verdict(
    sweep: SweepFiles, found: Sequence[Lead], judged: Sequence[Sequence[Rival]]
) -> list[str]:
    """A sentence on each; none where nothing is compared.

    Args:
      sweep: what the sweep's folder holds.
      found: its leads.
      judged: the references at each lead's condition, the strongest first.
    """
    compared = [lead for lead in found if lead.second]
    parts = [_who_is_best(sweep, compared)] if compared else []
    parts += _who_is_better([rivals[0] for rivals in judged if rivals], bool(compared))
    return [f"{begun(part)}." for part in parts]


def _who_is_best(sweep, compared):
    choices, conditions = choices_and_conditions(sweep)
    sure = [lead for lead in compared if decided(lead)]
    what = "decoder" if DECODER in choices else joined([label(f) for f in choices])
    if not any(lead.interval for lead in compared):
        return f"{too_few(paired(compared))} which {what} is best"
    if not sure:
        return f"no {what} is best beyond doubt: {_doubtful(conditions, compared)}"
    among = " of the decoders" if DECODER in choices else ""
    if len(compared) == 1:
        return f"{_choice(choices, sure[0].best)} is best{among}, by {_by(*sure)}"
    name, where = _counted(choices, conditions, sure, len(compared))
    rest = "" if len(sure) == len(compared) else ", and no other lead is sure"
    return f"{name} is best{among}{where}{rest}"


def _doubtful(conditions, compared):
    """What was seen where no interval lies above 0."""
    if len(compared) > 1:
        where = joined([label(f) for f in conditions])
        return f"at no setting of {where} does the interval of the lead lie above 0"
    (lead,) = compared
    ours, theirs = name_of(lead.best), name_of(lead.second)
    what = f"the interval of what {ours} is ahead of {theirs} {not_above([lead])}"
    return f"{what}, {_by(lead)}"


def _by(found):
    far = f"{np.mean(found.differences):.2f} dB of PSNR"
    far += " over the seeds that both have" * found.uneven
    return f"{far} ({borne_out(found)})"


def _counted(choices, conditions, found, total):
    """The choice that is best most often, and where it and others are."""
    wins = wins_of(found)
    ranked = sorted(wins, key=wins.get, reverse=True)
    most = wins[ranked[0]]
    if most == total:
        where = f" at every {joined([label(f) for f in conditions])}"
    else:
        parts = [f"{_choice(choices, x)} at {wins[x]}" for x in ranked[1:NAMED]]
        if others := sum(map(wins.get, ranked[NAMED:])):
            parts.append(f"others at {others}")
        of = f" at {most} of {settings(total, conditions)}"
        where = ", ".join(filter(None, (of, joined(parts))))
    return _choice(choices, ranked[0]), where


def wins_of(found: Sequence[Lead]) -> dict[Setting, int]:
    """At how many conditions each choice is the best."""
    wins: dict[Setting, int] = {}
    for lead in found:
        wins[lead.best] = wins.get(lead.best, 0) + 1
    return wins


def _choice(choices, setting):
    """A choice's name: of decoders it says enough, a number needs its field."""
    if DECODER in choices:
        return name_of(setting)
    return ", ".join(f"{label(f)} {x}" for f, x in zip(choices, setting, strict=True))


def _who_is_better(tops, several):
    """What the strongest references of all conditions say, if there are any."""
    if not tops:
        return []
    sure = any(rival.interval for rival in tops)
    if nearest := nearest_below(tops):
        what, best = ("is better", "best") if sure else ("has a higher PSNR", "highest")
        whom = f"the {best}" if several else "the model"
        return [
            f"no other estimator {what}: {nearest.name} comes nearest, "
            f"{-nearest.lead:.2f} dB below {whom}"
        ]
    if not sure:
        return [_seen_of_rivals(tops, several)]
    better = [rival for rival in tops if rival.better]
    level = [rival for rival in tops if rival.better is None]
    named = better or level
    names = list(dict.fromkeys(rival.name for rival in named))
    verb = "is" if len(names) == 1 else "are"
    what = f"{verb} better than {'all' if several else 'the model'}"
    if not better:
        what = f"cannot be told from {'the best' if several else 'the model'}"
    where = f" at {len(named)} of {len(tops)}" if len(named) < len(tops) else ""
    return [f"{some(names)} {what}{where}"]


def nearest_below(tops: Sequence[Rival]) -> Rival | None:
    """The reference that comes nearest, where all are below, as far as can be told.

    Args:
      tops: the strongest references, one for each condition.
    """
    if any(rival.interval for rival in tops):
        below = all(rival.better is False for rival in tops)
    else:
        below = all(rival.lead <= 0 for rival in tops)
    return max(tops, key=lambda rival: rival.lead) if below else None


def _seen_of_rivals(tops, several):
    """Where the strongest references lie, where seeds are too few to tell more."""
    ahead = [rival for rival in tops if rival.lead > 0]
    names = list(dict.fromkeys(rival.name for rival in ahead))
    verb = "lies" if len(names) == 1 else "lie"
    where = f" at {len(ahead)} of {len(tops)}" if len(ahead) < len(tops) else ""
    whom = "all" if several else "the model"
    return f"in {these(tops)} {some(names)} {verb} above {whom}{where}"
