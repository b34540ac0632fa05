"""What is said below each figure, and by what it ranks the decoders."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from caejax.report.denoisers import flat_patterns, grey_levels
from caejax.report.figures import (
    QUALITY,
    comparable_runs,
    drawn_grey,
    is_probed,
    not_compared,
    seeds_of,
    setting_of_compared,
    two_digits,
)
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.words import joined

CAPTIONS = {
    "denoisers": "Test images, corrupted, and what methods without a network and each "
    "decoder make of them, with PSNRs over the test split; a part of the first image, "
    "enlarged; what each whole model makes of a flat grey image and a ramp, without "
    "noise. The number is the pattern on flat grey: the RMS of what is not flat, in "
    "grey levels of 255. A grey that comes back darker or lighter is no pattern.",
    "checkerboard": "Test images and what each decoder makes of them. Below each is "
    "its ripple: what it draws on a constant code, minus the mean; without a pattern "
    "that is flat. The numbers are its RMS in the image, in grey levels of 255, over "
    "the mean codes of test images.",
    "dc_ripple_steps": "DC ripple, what the decoder draws on constant codes, while "
    "training, at each period that its strides can make. On the dashed line there is "
    "none: below -100 dBFS is only rounding.",
    "residual_spectrum": "Mean power spectrum of the test residuals (outputs minus "
    "clean images). The wedges point at the rows and columns of 1/2, 1/4 and 1/8 cycle "
    "per pixel. Where they cross, only a pattern of period 2, 4 or 8 can put a bright "
    "pixel. The black one in the middle is the mean, which is taken away.",
    "phase_means": "The residual pattern: the mean test residual (output minus clean "
    "image) of every phase of the longest period, minus the mean of all, in grey "
    "levels of 255. What is left of the images differs by phase, too, so the RMS of a "
    "decoder without a pattern is not 0.",
    "gallery": "Flat colours and gradients, what each whole model makes of them, and "
    "the ripple in that: its linear output without the trend. Decoders that are clean "
    "on flat colours may draw steps on gradients.",
    "reconstructions": "Test images: target, corrupted input and output.",
    "curves": "Loss and PSNR while training.",
    "noise_matrix": "PSNR of models trained at one noise level and tested at another; "
    "where there are several such models, their mean.",
}
# Of runs whose decoder has been looked at.
_CONVOLUTIONAL = {
    "reconstructions": " And the ripple that the decoder draws on a constant code: "
    "black is below its mean, and white above it, by the grey levels of 255 beside it.",
    "curves": " And the DC ripple: what lies on the dashed line, if there is one, "
    "is only rounding.",
}
_RANKED = 6  # decoders that a caption ranks, at most
_ALL_ERRORS = (
    "PSNR counts all errors on noisy test images, of which a pattern is a small part"
)
_ANOTHER_GREY = (
    "that goes through the whole model, and its grey need not be that of test images, "
    "whose codes give the ripple"
)


def captions_of_run(run: RunFiles) -> dict[str, str]:
    """The captions of a run's figures by name, which say no more than these show."""
    shown = {"reconstructions": "flat" in run.samples, "curves": is_probed(run)}
    more = {name: _CONVOLUTIONAL[name] * is_shown for name, is_shown in shown.items()}
    return CAPTIONS | {name: CAPTIONS[name] + text for name, text in more.items()}


def captions_of_sweep(sweep: SweepFiles) -> dict[str, str]:
    """The captions of a sweep's figures by name; what is ranked says by what."""
    runs = comparable_runs(sweep)
    setting = setting_of_compared(sweep, runs)
    alone = " One run a decoder" if len(sweep.runs) > len(runs) else " All"
    where = f" at {setting}" if setting else ""
    if absent := [x.replace("\n", " ") for x in not_compared(sweep, runs)]:
        where += f", where no run of {joined(absent)} is done"
    at = f"{alone}{where}" if where else ""
    many = seeds_of(sweep) > 1
    means = _whose_seed(seeds_of(sweep))
    orders = rankings(runs) if 1 < len(runs) <= _RANKED else {}
    said = {
        "denoisers": f"{at}{means}.{_of_denoisers(orders)}",
        "checkerboard": f"{at}{means}.{_of_checkerboard(orders)}",
    }
    if many or len(sweep.runs) > len(runs):
        said["dc_ripple_steps"] = " Lines are means over the runs, bands their range."
    return CAPTIONS | {name: CAPTIONS[name] + text for name, text in said.items()}


def _whose_seed(seeds):
    """Which seed is shown, as `comparable_runs` chooses it."""
    if seeds < 2:
        return ""
    chosen = "of two seeds the one that has the highest PSNR"
    if seeds > 2:
        chosen = "the seed whose PSNRs are nearest to the means"
    return f", {chosen}, so that means over seeds may rank otherwise"


def averaged(sweep: SweepFiles) -> str:
    """What points and bars are, in figures of values against a field."""
    many = seeds_of(sweep) > 1
    what = "Means over seeds; bars are their range." if many else "One seed a point."
    return f"{what} Each decoder has one colour."


def rankings(runs: Mapping[str, RunFiles]) -> dict[str, dict[str, float]]:
    """Values by which figures rank decoders, each from the best on.

    Args:
      runs: a run a decoder, as `comparable_runs` gives them.

    Returns:
      By "PSNR" (dB), "flat grey" and "constant codes" (grey levels of 255), the value
      of each decoder; what not all runs have is left out.
    """
    values: dict[str, dict[str, Any]] = {
        "PSNR": {name: run.summary.get(QUALITY) for name, run in runs.items()},
        "flat grey": flat_patterns(runs),
        "constant codes": {name: drawn_grey(run.summary) for name, run in runs.items()},
    }
    return {
        what: dict(sorted(found.items(), key=lambda x: _best_first(what, x[1])))
        for what, found in values.items()
        if found and None not in found.values()
    }


def _best_first(what, value):
    return -value if what == "PSNR" else value


def _of_denoisers(orders):
    """By what the figure of denoisers ranks."""
    psnr, flat = orders.get("PSNR"), orders.get("flat grey")
    text = _order("PSNR in dB", psnr, "{:.2f}".format)
    text += _order("the pattern on flat grey", flat, grey_levels)
    if _opposed(psnr, flat):
        text += f" The two orders differ, as {_ALL_ERRORS}."
    return text


def _of_checkerboard(orders):
    """By what the figure of constant codes ranks, and why others rank otherwise."""
    drawn = orders.get("constant codes")
    text = _order("their ripple", drawn, two_digits)
    if _opposed(drawn, orders.get("PSNR")):
        text += f" By PSNR the order is another one, as {_ALL_ERRORS}."
    if _opposed(drawn, orders.get("flat grey")):
        text += f" On a flat grey image the order is another one: {_ANOTHER_GREY}."
    return text


def _order(what, values, told):
    if not values:
        return ""
    parts = [
        f"{name.replace(chr(10), ' ')} {told(value)}" for name, value in values.items()
    ]
    return f" Best first by {what}: {', '.join(parts)}."


def _opposed(first, second):
    """Whether two orders, best first, have two decoders the other way round."""
    if not first or not second:
        return False
    places = [
        {name: list(values.values()).index(x) for name, x in values.items()}
        for values in (first, second)
    ]
    pairs = combinations(first, 2)
    return any((a[x] - a[y]) * (b[x] - b[y]) < 0 for x, y in pairs for a, b in [places])
