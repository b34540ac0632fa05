"""Counts what chance gives on photographs, tests it on others, and plants patterns.

    python -m experiments.measure_calibration.study --data=DIR

writes caejax/measure/chance.csv, which ships, false_alarms.csv and detection.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.stats

import caejax.measure
from caejax.files.csv_files import write_csv
from caejax.measure import search
from caejax.measure.lines import measure_lines
from caejax.measure.scores import _table
from experiments.measure_calibration.detection import measure_all
from experiments.measure_calibration.fit import alarms, fit, rows
from experiments.measure_calibration.photographs import (
    LOOKS,
    Look,
    chance_scores,
    grey,
    over,
    photographs,
)

HERE = Path(__file__).parent
FOLDS = 9
SEARCHED = [Look("whole", "all, as the command searches")]
DETECTED = 16  # of CBSD68, on which patterns are planted


def main() -> None:
    """Reads the command line, and does all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="BSDS500's folder")
    used, tested = photographs(parser.parse_args().data)
    scores = np.asarray(over(used, chance_scores))
    chance = fit(scores)
    write_csv(Path(caejax.measure.__file__).parent / "chance.csv", rows(chance))
    _table.cache_clear()
    unseen = alarms(np.asarray(over(tested, chance_scores)), chance)
    found = [
        *_rates(f"{len(used)}, a ninth by the others", _crossed(scores), LOOKS),
        *_rates(f"the same {len(used)}", _searched(used), SEARCHED),
        *_rates("CBSD68", unseen, LOOKS),
        *_rates("CBSD68", _searched(tested), SEARCHED),
    ]
    write_csv(HERE / "false_alarms.csv", found)
    write_csv(HERE / "detection.csv", measure_all(tested[:DETECTED]))


def _crossed(scores):
    fold = np.arange(len(scores)) % FOLDS
    found = np.empty(scores.shape[:2], bool)
    for k in range(FOLDS):
        found[fold == k] = alarms(scores[fold == k], fit(scores[fold != k]))
    return found


def _searched(paths):
    """Which have a pattern that JPEG's blocks do not explain, (photographs, 1)."""

    def alarm(path):
        image = grey(path)
        patterns = search.merge(search.find(measure_lines(image), image.shape))
        return any(8 % x.period for x in patterns)

    return np.asarray(over(paths, alarm))[:, None]


def _rates(name, found, looks):
    """A row for each look."""
    for look, column in zip(looks, found.T, strict=True):
        count = int(column.sum())
        low, high = scipy.stats.binomtest(count, len(column)).proportion_ci()
        yield {
            "photographs": name,
            "size": look.size,
            "lines": look.lines,
            "count": len(column),
            "alarms": count,
            "rate": f"{count / len(column):.4f}",
            "low": f"{low:.4f}",
            "high": f"{high:.4f}",
        }


if __name__ == "__main__":
    main()
