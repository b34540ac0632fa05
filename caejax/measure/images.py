"""What is measured of each image, and added up over all."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from PIL import Image
from scipy.ndimage import uniform_filter

from caejax.data.pictures import in_channels
from caejax.errors import CaejaxError
from caejax.measure import lines, paired, search
from caejax.measure.files import Pair
from caejax.metrics.units import GREYS
from caejax.runtime.cores import usable_cores

SPECTRUM = 256  # points of the mean spectrum along either axis
SCENE = 32  # pixels a side, of what scenes are told by
# Correlation above which two images show one scene: any two of BSDS500's photographs
# have less than 0.5, and each with itself under noise of 50 of 255 more than 0.8.
SAME_SCENE = 0.7


class Seen(NamedTuple):
    """What images say.

    Attributes:
      lines: Of all together, by kind.
      size: (H, W), each the smallest that there is.
      singly: What is found in each by itself.
      images: A record of each.
      paired: Means of the paired metrics; empty without references.
      jpeg: Whether all are JPEG files.
      spectrum: (256, 129) mean power of fine detail over frequencies, fy from -1/2.
      repeats: Of each image that shows the scene of an earlier one, this one's name.
        They are not among all together, which would take what they show for a pattern.
    """

    lines: dict[str, lines.Lines]
    size: tuple[int, int]
    singly: list[list[search.Found]]
    images: list[dict[str, Any]]
    paired: dict[str, float]
    jpeg: bool
    spectrum: np.ndarray
    repeats: dict[str, str]


def see_all(calls: Sequence[Callable[[], Pair]]) -> Seen:
    """Measures images, on all cores; each is read when its turn comes.

    Raises:
      CaejaxError: some cannot be read, or are too small for any period.
    """
    total, spectrum = None, 0.0
    sizes, singly, records, jpeg, metrics = [], [], [], True, paired.Paired()
    scenes, names, repeats = np.zeros((len(calls), SCENE**2), np.float32), [], {}
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        results = pool.map(_tried, calls)
        for result in results:
            if isinstance(result, CaejaxError):
                raise _with_others(result, results)
            pair, found, own, power, scene = result
            alike = scenes[: len(names)] @ scene
            if alike.max(initial=0) > SAME_SCENE:
                repeats[pair.name] = names[alike.argmax()]
            else:
                scenes[len(names)] = scene
                names.append(pair.name)
                total = found if total is None else lines.add(total, found)
            spectrum = spectrum + power
            sizes.append(pair.out.shape[:2])
            singly.append(own)
            jpeg &= pair.jpeg
            values = {} if pair.ref is None else metrics.add(pair.out, pair.ref)
            records.append(
                {
                    "name": pair.name,
                    "height": pair.out.shape[0],
                    "width": pair.out.shape[1],
                    **values,
                    "patterns": [x._asdict() for x in search.merge(own, pair.jpeg)],
                }
            )
    size = (min(h for h, _ in sizes), min(w for _, w in sizes))
    spectrum = spectrum / len(records)
    means = metrics.means()
    return Seen(total, size, singly, records, means, jpeg, spectrum, repeats)


def _tried(call):
    """What is seen of an image, or what is wrong with it."""
    try:
        return _see(call)
    except CaejaxError as error:
        return error


def _with_others(first, results):
    """An error of all images that cannot be measured, to be mended at once."""
    said = [str(first), *(str(x) for x in results if isinstance(x, CaejaxError))]
    more = [f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return CaejaxError("; ".join(said[:_NAMED] + more))


_NAMED = 5  # images that are wrong, in one line


def _see(call):
    pair = call()
    height, width = pair.out.shape[:2]
    if min(height, width) < lines.LEAST:
        raise CaejaxError(
            f"{pair.name} is {width}x{height}, too small for any period to be looked "
            f"for: {lines.LEAST} pixels a side are the least; give larger images, or "
            "leave it out"
        )
    grey = GREYS * in_channels(pair.out, 1)[..., 0]
    trust = lines.unclipped(grey)
    if pair.ref is not None:
        grey = grey - GREYS * in_channels(pair.ref, 1)[..., 0]
    found = lines.measure_lines(grey, trust=trust)
    own = search.find(found, grey.shape, jpeg=pair.jpeg)
    return pair, found, own, _spectrum(grey), _scene(grey)


def _scene(grey):
    """What an image shows, small and without its slow changes, as a unit vector."""
    image = Image.fromarray(np.float32(grey))
    small = np.asarray(image.resize((SCENE, SCENE), Image.Resampling.BOX))
    detail = (small - uniform_filter(small, 9)).ravel()
    return detail / max(np.linalg.norm(detail), 1e-6)


def _spectrum(grey):
    """Power of fine detail, smooth and busy places alike, on a grid for all sizes."""
    detail = grey - uniform_filter(grey, 5)
    detail = detail / np.sqrt(uniform_filter(detail**2, 9) + 0.25)
    windows = [np.hanning(n + 2)[1:-1] for n in detail.shape]
    power = np.abs(scipy.fft.rfft2(detail * np.outer(*windows))) ** 2
    power = np.fft.fftshift(power, axes=0)
    y = np.arange(-SPECTRUM // 2, SPECTRUM // 2) / SPECTRUM
    x = np.arange(SPECTRUM // 2 + 1) / SPECTRUM
    rows = _coarse(power, y, np.fft.fftshift(np.fft.fftfreq(len(detail))))
    shown = _coarse(rows.T, x, np.fft.rfftfreq(detail.shape[1])).T
    return shown / max(shown.mean(), 1e-30)


def _coarse(power, places, frequencies):
    """The largest power of each place along the first axis, so that no line is lost."""
    nearest = np.abs(frequencies[:, None] - places).argmin(1)
    coarse = np.full((len(places), power.shape[1]), -1.0)
    np.maximum.at(coarse, nearest, power)
    empty = np.flatnonzero(coarse[:, 0] < 0)
    coarse[empty] = power[np.abs(frequencies[:, None] - places[empty]).argmin(0)]
    return coarse
