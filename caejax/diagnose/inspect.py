"""From a watched model to its diagnosis."""

import contextlib
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from caejax.diagnose import elsewhere, phases, probe
from caejax.diagnose.cures import cure
from caejax.diagnose.phases import decibels
from caejax.diagnose.places import (
    Place,
    find_places,
    find_whole,
    is_hidden,
    is_named_resize,
    is_of,
    is_resize,
    is_unknown,
    of_dimensions,
    scales,
)
from caejax.diagnose.probe import ROUNDING_DB
from caejax.diagnose.reach import (
    as_of_large_images,
    before_bounds,
    before_choice,
    from_there,
    reads_tokens,
    what_is_seen,
    with_channels,
)
from caejax.diagnose.result import THRESHOLD_DB, Diagnosis
from caejax.diagnose.starts import from_maps
from caejax.diagnose.trace import NOTHING, Trace, own_channels_second, spatial
from caejax.errors import CaejaxError


def inspect(
    trace: Trace,
    inputs: Sequence[np.ndarray],
    threshold_db: float = THRESHOLD_DB,
    behind: str | None = None,
    examples: Sequence[Sequence[np.ndarray]] = (),
) -> Diagnosis:
    """Reads the kernels of a model's enlarging places, and measures what they draw.

    Args:
      trace: of the model, whose result is (B, C, n1, ..., nd).
      inputs: what it was traced with; those of three axes and more are replaced by
        flat colours.
      threshold_db: a pattern on flat inputs above this, relative to the constant's
        own response, is a fault.
      behind: the name of a layer, or in ONNX of a tensor, whose result is replaced by
        features that are flat, of the mean and spread that the inputs give them; only
        what lies behind it is looked at. None for the whole model.
      examples: more of such inputs, that colours and features have the mean of all.

    Raises:
      CaejaxError: nothing is called that, its result has no spatial axes, or the
        model's is not finite.
    """
    trace = elsewhere.noted(with_channels(before_choice(trace)), inputs)
    places = find_places(trace)
    if behind is not None:
        trace, places = from_there(trace, places, [inputs, *examples], behind)
    trace = as_of_large_images(trace)
    about = [*trace.about, *_not_looked_into(trace.bodies)]
    larger, periods = _periods(trace, places)
    if not any(periods) and behind is None:
        places = find_whole(trace) or places
        larger, periods = _periods(trace, places)
    if any(periods):
        # Of those that are not known and are no images nothing could be said.
        pairs = zip(places, periods, strict=True)
        said = [(x, p) for x, p in pairs if p or not is_unknown(x)]
        places, periods = map(list, zip(*said, strict=True))
    if not places and not trace.unseen:
        return _nothing(about, threshold_db, behind, trace.bodies)
    about += what_is_seen(trace)
    periods = _that_fit(trace, places, periods, about)
    whole = _common([p for p in periods if p])
    given = [inputs, *examples]
    flat = _flats(trace, given)
    began, start = from_maps(trace, places, given, flat[-1])
    about += _of_start(start)
    # Where it begins elsewhere, slopes of what goes into the model do not go on.
    reached = behind is None and (start is None or not start.made)
    drawn = _measure(
        began,
        given,
        places,
        periods,
        whole,
        larger,
        about,
        sloped=trace if reached else None,
    )
    drawn["content"] &= drawn["ripple"] is not None and drawn["ripple"] > threshold_db
    if drawn["content"]:
        about.append(_CONTENT)
        drawn |= {"ripple": None, "rms": None, "by_period": {}}
        drawn |= {"shares": [None] * len(places)}
        drawn |= {"shares_by_period": [{}] * len(places)}
    elif drawn["uneven"]:
        about.append(
            "flat inputs do not stay flat inside this model (positions, attention or "
            f"normalisation over space), by {drawn['uneven']:.3g} RMS beside the "
            "pattern: what is measured repeats all the same, but less regular patterns "
            "are not seen"
        )
    rows = [
        _row(place, period, *values, threshold_db, trace.form)
        for place, period, *values in zip(
            places,
            periods,
            drawn["predicted"],
            drawn["local"],
            drawn["shares"],
            drawn["shares_by_period"],
            strict=True,
        )
    ]
    turned = []
    for row, gain in zip(rows, drawn["turned"], strict=True):
        if gain > _TURNED_DB:
            row |= _of_turned(gain, drawn["slope"])
            turned.append(row["name"])
    ripple = drawn["ripple"]
    worst, counted = ripple, rows
    if ripple is None:
        pairs = _drawing(places, rows, threshold_db)
        worst, counted = _by_places(pairs), [row for _, row in pairs]
    clean = worst is None or worst <= threshold_db
    verdict = _verdict(ripple, worst, counted, clean, whole, threshold_db)
    verdict += f"; of the whole: {_UNEVEN}" * drawn["content"]
    if start is not None:
        verdict = verdict.replace("on flat inputs", f"on {_flat_there(start)}", 1)
    shown = _behind_others(trace, places, larger)
    beside = [row for row, x in zip(rows, shown, strict=True) if x and not row["clean"]]
    if clean and beside:
        names = ", ".join(row["name"] for row in beside)
        verdict = (
            "draws a pattern on flat inputs, in another of its results than the first, "
            f"by {names}"
        )
    clean = clean and not beside
    hidden = [
        _row(place, None, None, None, None, {}, threshold_db, trace.form)
        for place in trace.unseen
    ]
    unknown = [row for row in hidden if not row["clean"]]
    if clean and unknown:
        verdict = _not_run(unknown)
    clean = clean and not unknown
    unread = _unread(places, rows) if ripple is None else []
    if clean and unread:
        verdict = f"not known to be clean: what {', '.join(unread)} draws is not known"
    clean = clean and not unread
    if clean and turned:
        verdict = (
            f"draws a pattern of period {'x'.join(map(str, whole))} on slopes: blocks "
            f"of {', '.join(turned)} lie with two axes exchanged"
        )
    clean = clean and not turned
    about += _taken_out(rows) if clean else []
    verdict += _reserve(trace.bodies)
    return Diagnosis(
        clean=bool(clean),
        threshold_db=threshold_db,
        ripple_db=ripple,
        ripple_rms=drawn["rms"],
        slope_ripple_db=drawn["slope"],
        period=list(whole),
        ripple_db_by_period=drawn["by_period"],
        places=rows + hidden,
        about=about,
        verdict=verdict,
    )


def _not_run(rows):
    """The verdict of a model with places that no run shows and that may draw."""
    can = [row["name"] for row in rows if row["gain_spread_db"] is not None]
    said = f"by its kernel {', '.join(can)} can draw a pattern, and no run shows it"
    if not can:
        names = ", ".join(row["name"] for row in rows)
        said = f"no run shows what {names} draws, and its kernel could not be read"
    return f"not known to be clean: {said}; diagnose what runs there by itself"


def _unread(places, rows):
    """Names of places of which neither a measurement nor a kernel says anything."""
    found = []
    for place, row in zip(places, rows, strict=True):
        if row["ripple_db"] is None and not (place.phases or is_resize(place)):
            row |= {
                "clean": False,
                "verdict": "not known: what it draws could not be measured, and its "
                "kernel could not be read",
                "cure": "give larger inputs, or diagnose this part by itself",
            }
            found.append(row["name"])
    return found


def _taken_out(rows):
    """That nothing is to be done about what a clean model's layers draw."""
    names = list(dict.fromkeys(row["name"] for row in rows if not row["clean"]))
    if names:
        yield (
            f"the pattern of {', '.join(names)} does not reach the output, or less of "
            "it than the limit: the model as a whole is clean, and need not be mended"
        )


def drawn(trace: Trace, inputs: Sequence[np.ndarray]) -> dict[int, tuple[str, float]]:
    """What each of a model's places draws of flat inputs, by the step of its result.

    Args:
      trace: of the model.
      inputs: what it was traced with.

    Returns:
      Its name, and the most that it draws, in dB; places that could not be measured are
      left out.
    """
    trace = elsewhere.noted(with_channels(trace), inputs)
    places = find_places(trace)
    larger, periods = _periods(trace, places)
    whole = _common([p for p in periods if p])
    if not whole:
        return {}
    trace = as_of_large_images(trace)
    given = _flats(trace, [inputs])
    trace, _ = from_maps(trace, places, [inputs], given[-1])
    own = [_at(whole, larger, x) for x in places]
    shown = _Shown(places, own, len(inputs), trace.channel)
    trace.run(given, watch=shown.watch)
    found = zip(places, shown.drawn, strict=True)
    return {x.output: (x.name, max(values)) for x, values in found if values}


def _behind_others(trace, places, larger):
    """Of each place whether other results alone show what it draws, not the first."""
    leading = {*trace.results[1:]}
    for step in reversed(trace.steps):
        leading |= {*step.sources} if step.index in leading else set()
    return [x.output in leading and x.output not in larger for x in places]


def _of_turned(gain, slopes):
    """What is said of a place whose blocks lie with two axes exchanged."""
    return {
        "clean": False,
        "verdict": "two axes of its blocks are exchanged: on slopes the model draws "
        f"{slopes:.1f} dB of their rise, and {gain:.1f} dB less with them turned back",
        "cure": "exchange the two axes of a block where its channels become pixels",
    }


def _nothing(about, threshold_db, behind, bodies):
    where = "the model has no place" if behind is None else f"behind {behind} is none"
    return Diagnosis(
        clean=True,
        threshold_db=threshold_db,
        ripple_db=None,
        ripple_rms=None,
        slope_ripple_db=None,
        period=[],
        ripple_db_by_period={},
        places=[],
        about=about,
        verdict=f"clean: {where} that enlarges{_reserve(bodies)}",
    )


def _periods(trace, places):
    """How much larger the result is than what steps make, and the places' periods."""
    larger = scales(trace, places)
    return larger, [_period(place, larger) for place in places]


def _period(place, larger):
    """Of what a place draws, in pixels of the result; None where it is not known."""
    scale = larger.get(place.output)
    if scale is None or not is_of(len(place.stride), len(scale)):
        return None
    stride = of_dimensions(_periodic(place.stride), len(scale))
    return tuple(
        _repeats(s * x) if s > 1 else 1 for s, x in zip(stride, scale, strict=True)
    )


def _repeats(size):
    """After how many pixels what repeats every so many, which may be 2.5, is alike."""
    return max(1, Fraction(size).limit_denominator(_FINEST).numerator)


_FINEST = 64  # parts of a pixel that sizes are told by


def _that_fit(trace, places, periods, about):
    """The periods, without those of resizes that the result is too small to hold.

    A pyramid resizes means over few large parts; what it draws of flat inputs is
    nothing, and its period would leave nothing to measure the others by.
    """
    result = next((x for x in trace.steps if x.index == trace.results[0]), None)
    sizes = spatial(result.shape, trace.channel) if result else ()

    def fits(period):
        whole = zip(sizes, period, strict=True)
        return all(n >= probe.LEAST_CELLS * p for n, p in whole if p > 1)

    found = [
        None if period and is_resize(place) and not fits(period) else period
        for place, period in zip(places, periods, strict=True)
    ]
    if not any(found):
        return periods
    about += [
        f"{place.name} makes parts of the result that are too large to repeat there; "
        "their period was left out"
        for place, new, old in zip(places, found, periods, strict=True)
        if old and not new
    ]
    return found


def _periodic(stride):
    """The strides that have a period, 1 for others."""
    return tuple(int(s) if float(s).is_integer() else 1 for s in stride)


def _common(periods):
    """The period of all patterns together, along each axis."""
    if not periods:
        return ()
    return tuple(math.lcm(*axis) for axis in zip(*periods, strict=True))


def _flat_there(start):
    return f"flat features of {start.sizes} behind {', '.join(start.names)}"


def _of_start(start):
    """What is said of a model that is not probed from its inputs on."""
    if start is not None:
        names = ", ".join(start.names)
        made = f"features become a map only behind {names}, which is no flat one"
        other = f"what {names} makes differs from place to place, whatever goes in"
        why = made if start.made else other
        yield f"{why}: probed from there on, with flat features of {start.sizes}"


def _measure(trace, examples, places, periods, whole, larger, about, sloped):
    """What the model and its places draw of flat inputs.

    Args:
      sloped: the trace whose inputs are slopes; None where those do not go on.
    """
    nothing = {
        "content": False,
        "uneven": 0.0,
        "ripple": None,
        "rms": None,
        "slope": None,
        "turned": [0.0] * len(places),
        "by_period": {},
        "local": [None] * len(places),
        "predicted": [None] * len(places),
        "shares": [None] * len(places),
        "shares_by_period": [{}] * len(places),
    }
    inputs, given = examples[0], _flats(trace, examples)
    own = [_at(whole, larger, x) for x in places]
    images, here = _at_places(trace, given, places, own)
    if not whole:
        about.append(
            "no pixels of a place become pixels of the result, as in one that lists "
            "detections: what each place draws is measured at its own result"
        )
        return nothing | here
    if not all(np.isfinite(y).all() for y in images):
        raise CaejaxError(
            "what the model makes of flat inputs is not finite; look for NaN in its "
            "weights, or give inputs of the range that it takes"
        )
    if _are_at_bounds(images) and (earlier := before_bounds(trace)):
        about.append(earlier.about[-1])
        sloped = sloped and before_bounds(sloped)
        given = (places, periods, whole, larger, about, sloped)
        return _measure(earlier, examples, *given)
    try:
        each = [probe.pattern(y, whole) for y in images]
    except ValueError as error:
        about.append(f"the result was not probed: {error}; give larger inputs")
        strides = [_periodic(x.stride) for x in places]
        return nothing | _at_places(trace, given, places, strides)[1]

    size = max(map(_rms, images))
    if size < _FAINT and size < _FAINT * _rms(trace.run([inputs])[0]):
        about.append(
            "of flat inputs next to nothing reaches the result; it is judged by its "
            "kernels"
        )
        return nothing
    found = _mean(each)
    seen = decibels(found.power / max(found.level, 1e-300)) > ROUNDING_DB
    shares = [
        _shares(images[:_SHARED], place, trace, given, whole)
        if period and seen
        else (None, {})
        for place, period in zip(places, periods, strict=True)
    ]
    uneven = found.rest > max(1e-6 * found.level, found.power)
    flat = given[0]
    slopes = None
    if sloped is not None and not reads_tokens(trace, inputs[0].shape):
        made = images[0] if sloped is trace else sloped.run([flat])[0]
        slopes = _on_slopes(sloped, inputs, flat, made, whole)
    return {
        "content": found.is_content,
        "uneven": float(np.sqrt(found.rest)) if uneven else 0.0,
        "ripple": found.db,
        "rms": float(np.sqrt(found.power)),
        "slope": slopes,
        "turned": _turned(sloped, inputs, flat, places, whole, slopes),
        "by_period": {
            period: decibels(power / max(found.level, 1e-300))
            for period, power in _powers(images, whole).items()
        },
        **here,
        "shares": [total for total, _ in shares],
        "shares_by_period": [each for _, each in shares],
    }


def _at_places(trace, given, places, periods):
    """What a model makes of inputs, and what each place draws in its own result."""
    shown = _Shown(places, periods, len(given[0]), trace.channel)
    images = trace.run(given, watch=shown.watch)
    return images, {
        "local": [_worst(x) for x in shown.drawn],
        "predicted": [_worst(x) for x in shown.predicted],
    }


_SHARED = 2  # flat inputs that shares are measured on; each place runs the model anew


def _are_at_bounds(images):
    """Whether a model gives flat colours, and in each channel at most two of them.

    So does what ends in bounds, if it is given what lies beyond these.
    """
    lowest, highest = (
        np.array([f(_middle(y), tuple(range(2, y.ndim))) for y in images])
        for f in (np.min, np.max)
    )
    ends = np.minimum(highest - lowest.min(0), highest.max(0) - lowest)
    apart = np.maximum(highest - lowest, ends)
    return bool((apart <= _ALIKE * abs(highest).max()).all())


def _middle(image):
    """What lies away from borders, at which less is added up."""
    return image[(..., *(slice(n // 3, n - n // 3) for n in image.shape[2:]))]


_ALIKE = 1e-6  # of float32


def _at(whole, larger, place):
    """The period of all patterns together, in pixels of a place's own result."""
    scale = larger.get(place.output)
    stride = _periodic(place.stride)
    if scale is None or not is_of(len(stride), len(scale)):
        return stride
    # Of frames that are enlarged one by one the last axes are those of the result.
    whole, scale = whole[len(whole) - len(stride) :], scale[len(scale) - len(stride) :]
    own = [max(s, round(n / x)) for n, x, s in zip(whole, scale, stride, strict=True)]
    return [s * -(-n // s) for n, s in zip(own, stride, strict=True)]


def _worst(values):
    return max(values) if values else None


class _Shown:
    """What is seen of each place while the model runs on flat inputs.

    Attributes:
      watch: what is shown the results of steps; see `Run`.
      drawn: for each place, what it draws in each run, in dB.
      predicted: likewise, what its kernel makes of the features that it was given.
    """

    def __init__(self, places, periods, inputs, channel):
        self._places, self._periods, self._channel = places, periods, channel
        # Which of several inputs a place reads is not known.
        unknown = {None} if inputs == 1 else {None, -1}
        steps = ({x.output for x in places} | {x.reads for x in places}) - unknown
        self.watch = {index: functools.partial(self._see, index) for index in steps}
        self.drawn = [[] for _ in places]
        self.predicted = [[] for _ in places]
        self._features = {}

    def _see(self, index, array):
        self._features[index] = array
        for n, place in enumerate(self._places):
            if place.output == index:
                with contextlib.suppress(ValueError):  # too small
                    self._look(n, place, array)

    def _look(self, n, place, array):
        stride = _periodic(place.stride)
        if array.ndim != len(stride) + 2:
            return
        period = self._periods[n]
        array = own_channels_second(array, self._channel, place.channel)
        found = probe.pattern(array, period, stride)
        if found.is_content and not is_resize(place):  # which draws nothing itself
            return
        self.drawn[n].append(found.db)
        features = self._features.get(place.reads)
        if place.phases is None or features is None or features.ndim != array.ndim:
            return
        features = own_channels_second(features, self._channel, place.channel_read)
        before = [n // s for n, s in zip(period, stride, strict=True)]
        cell, _ = probe.fold(features, before)
        constant = cell.mean(tuple(range(2, cell.ndim)))
        made = phases.response(place.phases, constant, place.groups)
        if place.bias is not None:
            made = made + place.bias
        made = np.moveaxis(made, -1, 1)
        axes = tuple(range(2, made.ndim))
        level = (made.mean(axes) ** 2).mean()
        self.predicted[n].append(decibels(made.var(axes).mean() / max(level, 1e-300)))


_FAINT = 1e-3  # RMS of a result, absolute, and to that of the inputs as they are


def _rms(array):
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _flats(trace, examples):
    """The inputs that a model is probed with, each of another colour."""
    tokens = reads_tokens(trace, examples[0][0].shape)
    return [_flat(examples, seed, tokens) for seed in range(probe.FLATS)]


def _flat(examples, seed, tokens):
    """Inputs that are flat; those that are read as tokens have their channels last."""

    def flat(alike, seed):
        x = alike[0]
        if not probe.is_image(x):
            return x
        if tokens and x.ndim == examples[0][0].ndim:
            made = probe.flats([np.moveaxis(y, -1, 1) for y in alike], seed)
            return np.moveaxis(made, 1, -1)
        return probe.flats(alike, seed)

    inputs = enumerate(zip(*examples, strict=True))
    return [flat(alike, seed + n) for n, alike in inputs]


def _mean(found):
    return probe.Pattern(*np.mean(found, 0))


def _shares(images, place, trace, given, whole):
    """How much less power there is with the place made clean: in all, by period.

    Of periods that have no power but rounding's there is no share.
    """
    if place.change is None:
        return None, {}
    found = _mean([probe.pattern(y, whole) for y in images])
    least = found.level * 10 ** (ROUNDING_DB / 10)
    powers = {p: x for p, x in _powers(images, whole).items() if x > least}
    if not place.change or not found.power:
        return 0.0, dict.fromkeys(powers, 0.0)
    cleaned = trace.run(given[: len(images)], place.change)
    without = _mean([probe.pattern(y, whole) for y in cleaned])
    left = _powers(cleaned, whole)
    by_period = {p: 1 - left[p] / power for p, power in powers.items()}
    return float(1 - without.power / found.power), by_period


def _on_slopes(trace, inputs, flat, made, whole, change=NOTHING):
    """The largest pattern on slopes along an axis, in dB of the slope's rise."""
    main = next((n for n, x in enumerate(flat) if probe.is_image(x)), None)
    if main is None or flat[main].ndim != len(whole) + 2:
        return None
    if flat[main].dtype.kind == "u":
        return None  # on which slopes would be steps
    height = float(np.std(inputs[main], dtype=np.float64)) or 1.0
    axes = [n for n in range(2, flat[main].ndim) if flat[main].shape[n] > 1]
    if not axes:
        return None
    sloped = [
        [*flat[:main], probe.slope(flat[main], axis, height), *flat[main + 1 :]]
        for axis in axes
    ]
    images = zip(axes, trace.run(sloped, change), strict=True)
    return max(probe.slope_pattern(y - made, whole, axis) for axis, y in images)


def _turned(trace, inputs, flat, places, whole, slopes):
    """Of each place by how many dB less is drawn on slopes with its blocks turned."""
    found = []
    for place in places:
        gains = [0.0]
        for turn in place.turns if slopes is not None and slopes > _STEEP_DB else ():
            (made,) = trace.run([flat], turn)
            without = _on_slopes(trace, inputs, flat, made, whole, turn)
            gains.append(slopes - without)
        found.append(max(gains))
    return found


_STEEP_DB = -60.0  # on slopes; what is less is not looked into
_TURNED_DB = 10.0  # by so much less is drawn with blocks turned that were turned


def _powers(images, whole):
    """The power of the pattern that each period adds to those of its divisors."""
    longest = math.lcm(*whole)
    found, before = {}, 0.0
    for period in (p for p in range(2, longest + 1) if longest % p == 0):
        cut = tuple(math.gcd(period, x) for x in whole)
        total = _mean([probe.pattern(y, cut) for y in images])
        if period & (period - 1) == 0 or period == longest:
            found[str(period)] = max(total.power - before, 0.0)
            before = total.power
    return found


def _row(place: Place, period, predicted, local, share, by_period, threshold_db, form):
    kernel = place.phases
    row = {
        "name": place.name,
        "operation": place.operation,
        "stride": [float(s) for s in place.stride],
        "dimensions": len(place.stride),
        "kernel": list(place.kernel),
        "gain_spread_db": kernel and phases.spread_db(kernel),
        "overlap_db": kernel and _finite(phases.overlap_db(kernel)),
        "bias_spread": kernel and phases.bias_spread(kernel),
        "period": list(period or ()),
        "predicted_db": predicted,
        "ripple_db": local,
        "share": share,
        "share_by_period": by_period,
    }
    return row | _words(place, row, threshold_db, form)


def _finite(value):
    return value if math.isfinite(value) else None


def _words(place, row, threshold_db, form):
    """Verdict and cure in plain words."""
    drawn = row["ripple_db"]
    spread = row["gain_spread_db"]
    told = drawn if drawn is not None else _by_kernels([place])
    if is_hidden(place) and told is None and not is_named_resize(place):
        return {
            "clean": False,
            "verdict": f"not known: {place.note}, and its kernel could not be read",
            "cure": "diagnose what runs there by itself",
        }
    # What a resize is given may repeat otherwise than it does; it draws nothing itself.
    resize = is_resize(place) and not is_hidden(place)
    if resize or told is None or told <= threshold_db:
        note = place.note.removeprefix("clean ")
        said = f"clean {note}" if note != place.note else f"clean; {note}"
        return {"clean": True, "verdict": said if note else "clean", "cure": ""}
    cause = "the gains of its phases differ"
    if spread is None:
        cause = "its phases differ"
    elif spread <= threshold_db and row["bias_spread"]:
        cause = "its gains are equal, but each phase has a bias of its own"
    elif spread <= threshold_db:
        cause = "its gains are equal, but what lies behind its kernel differs by phase"
    if is_hidden(place):
        return {
            "clean": False,
            "verdict": f"can draw a pattern, by its kernel: {place.note}",
            "cure": "diagnose what runs there by itself",
        }
    if place.change == {} or is_unknown(place) or place.layer is place.makers is None:
        return {
            "clean": False,
            "verdict": f"draws a pattern: {place.note}",
            "cure": "take a nearest or bilinear resize and a convolution instead",
        }
    if place.change is None:
        return {
            "clean": False,
            "verdict": f"draws a pattern: {place.note}",
            "cure": f"give it {_with_all_phases(place)}, then train",
        }
    if place.makers is not None and place.makers.why:
        return {
            "clean": False,
            "verdict": f"draws a pattern: {cause}",
            "cure": "make the phases alike where the channels are made, or take a "
            f"nearest or bilinear resize and a convolution instead: {place.note}",
        }
    verdict = f"draws a pattern: {cause}"
    return {"clean": False, "verdict": verdict, "cure": cure(place, form)}


def _with_all_phases(place):
    """What a layer lacks of which some phases have no taps."""
    if any(k < s for k, s in zip(place.kernel, place.stride, strict=True)):
        return "a kernel at least as large as its stride"
    return "a dilation that has no factor in common with its stride"


def _without_probe(worst, rows, clean, threshold_db):
    drawn = {x["name"]: x["ripple_db"] for x in rows if x["ripple_db"] is not None}
    limit = f"the limit is {threshold_db:g} dB"
    if not drawn:
        said = "clean" if clean else "draws a pattern"
        if worst is None:
            return f"{said}, as far as can be told: it only resizes; {_UNMEASURED}"
        return f"{said}, by its kernels alone; {_UNMEASURED}"
    if clean:
        most = _decibels(max(drawn.values()))
        return f"clean: on flat inputs no place draws more than {most}; {limit}"
    name = max(drawn, key=drawn.get)
    return (
        f"draws a pattern on flat inputs, in the result of {name}: "
        f"{drawn[name]:.1f} dB against the flat part of it, above the limit of "
        f"{threshold_db:g} dB"
    )


_UNEVEN = "not flat, not measured"
_CONTENT = (
    "features do not stay flat inside this model (positions, attention, noise or "
    "normalisation over space), and what seems to repeat in the result is no more than "
    "such features give by chance"
)
_UNMEASURED = (
    "what it draws of flat inputs was not measured, and the lines below say why"
)


def _by_kernels(places):
    """What kernels, and biases of phases beside each other, tell where nothing ran."""
    known = [place.phases for place in places if place.phases is not None]
    found = [max(phases.spread_db(x), phases.bias_spread_db(x)) for x in known]
    return max(found, default=None)


def _not_looked_into(bodies):
    if bodies:
        yield (
            f"what runs inside of {bodies} is not looked into: places there are known "
            "by their kernels alone, and what they draw is measured only where the "
            "result repeats by others"
        )


def _reserve(bodies):
    return f"; what runs inside of {bodies} was not looked into" if bodies else ""


def _drawing(places, rows, threshold_db):
    """The places, but for resizes that pass on what others draw, or content."""
    return [
        (place, row)
        for place, row in zip(places, rows, strict=True)
        if not is_resize(place) or (row["ripple_db"] or threshold_db) <= threshold_db
    ]


def _by_places(pairs):
    """The worst of what places draw at their own results, or of their kernels."""
    known = [
        _by_kernels([place]) if row["ripple_db"] is None else row["ripple_db"]
        for place, row in pairs
    ]
    return max((x for x in known if x is not None), default=None)


def _verdict(ripple, worst, rows, clean, whole, threshold_db):
    size = "x".join(map(str, whole))
    if ripple is None:
        return _without_probe(worst, rows, clean, threshold_db)
    if clean:
        period = f" at period {size}" * (max(whole) > 1)
        much = f"{ripple:.1f} dB{period}"
        if ripple < ROUNDING_DB:
            much = f"nothing{period} ({ripple:.1f} dB: only rounding)"
        return (
            f"clean: on flat inputs the model draws {much}; the limit is "
            f"{threshold_db:g} dB"
        )
    return (
        f"draws a pattern of period {size} on flat inputs: {ripple:.1f} dB against the "
        f"flat part of its output, above the limit of {threshold_db:g} dB"
    )


def _decibels(ripple):
    """What is drawn, and whether it is no more than rounding."""
    return f"{ripple:.1f} dB{' (only rounding)' * (ripple < ROUNDING_DB)}"
