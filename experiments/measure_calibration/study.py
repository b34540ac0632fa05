"""Fits what chance gives to photographs, and tests it on others.

    python -m experiments.measure_calibration.study --data=DIR

writes caejax/measure/chance.csv, which ships, false_alarms.csv and detection.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.stats

import caejax.measure
from caejax.data.pictures import reduce_image
from caejax.files.csv_files import write_csv
from caejax.measure.scores import FALSE_ALARMS, _table
from experiments.measure_calibration.detection import measure_all
from experiments.measure_calibration.fit import fit, rare, rows
from experiments.measure_calibration.photographs import (
    chance_scores,
    grey,
    over,
    photographs,
)

HERE = Path(__file__).parent
FOLDS = 10
DETECTED = 24  # of CBSD68, on which patterns are planted


def main() -> None:
    """Reads the command line, and does all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="BSDS500's folder")
    used, tested = photographs(parser.parse_args().data)
    scores = _scores(used)
    chance = fit(scores)
    write_csv(Path(caejax.measure.__file__).parent / "chance.csv", rows(chance))
    found = [
        _rate("432, each by the tails of nine tenths of them", _crossed(scores)),
        _rate("CBSD68", rare(_scores(tested), chance)),
        _rate("CBSD68, 128 x 128 of the middle", rare(_scores(tested, _crop), chance)),
        _rate("CBSD68, reduced by 3", rare(_scores(tested, _reduce), chance)),
    ]
    write_csv(HERE / "false_alarms.csv", [row for both in found for row in both])
    _table.cache_clear()
    write_csv(HERE / "detection.csv", measure_all(tested[:DETECTED]))


def _scores(paths, change=lambda image: image):
    return np.asarray(over(paths, lambda path: chance_scores(change(grey(path)))))


def _crop(image):
    top, left = ((n - 128) // 2 for n in image.shape)
    return image[top : top + 128, left : left + 128]


def _reduce(image):
    return np.rint(reduce_image(image[..., None], 3)[..., 0])


def _crossed(scores):
    fold = np.arange(len(scores)) % FOLDS
    values = np.empty(scores.shape[:2])
    for k in range(FOLDS):
        values[fold == k] = rare(scores[fold == k], fit(scores[fold != k]))
    return values


def _rate(name, values):
    """A row for lines as they lie, and one for moved ones."""
    for way, column in zip(("as they lie", "moved"), values.T, strict=True):
        alarms = int((column > -np.log10(FALSE_ALARMS)).sum())
        low, high = scipy.stats.binomtest(alarms, len(column)).proportion_ci()
        yield {
            "photographs": name,
            "lines": way,
            "count": len(column),
            "alarms": alarms,
            "rate": f"{alarms / len(column):.4f}",
            "low": f"{low:.4f}",
            "high": f"{high:.4f}",
        }


if __name__ == "__main__":
    main()
