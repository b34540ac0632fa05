"""Decoders before training, and in its first steps: theory against measurement.

    python -m experiments.initialisation.study

Needs no data. Writes ripple.csv, overlap.csv, training.csv, variance.csv, results.md
and the figures.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from caejax.files.csv_files import write_csv
from caejax.metrics.overlap import overlap_db
from caejax.metrics.table import PERIODS
from caejax.models.kinds import UPSAMPLING
from caejax.runtime.startup import start
from experiments.initialisation import figures, measure, tables, theory
from experiments.shared import machine
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, rounded

TRAINED = ("deconv_k4", "nearest_k3", "shuffle_k3", "shuffle_icnr", "shuffle_hold")
DRAWS = 2000  # of bootstraps


def constant_moments(kind: str, variant: str) -> list[np.ndarray]:
    """The theory's moments behind 1, 2 and 3 stages of a variant of question 1."""
    outputs, behind = theory.chain(
        theory.constant(),
        UPSAMPLING[kind],
        len(measure.STAGES),
        "he_normal",
        rectify=variant != "linear",
    )
    return behind if variant == "decoder" else outputs


def ripple_rows(
    kinds: Sequence[str], *, seeds: int, width: int = measure.WIDTH
) -> Iterator[Row]:
    """Question 1: a row for each kind, variant and number of stages.

    Kinds that are clean in theory are asked half as often.
    """
    for kind in kinds:
        clean = np.isinf(theory.ripple_db(constant_moments(kind, "linear")[0]))
        count = seeds // 2 if clean else seeds
        result = measure.ripples(kind, seeds=count, width=width)
        for variant, values in result.items():
            expected = map(theory.ripple_db, constant_moments(kind, variant))
            values = np.moveaxis(np.float64(values), 1, 0)
            for stages, of_stage, db in zip(
                measure.STAGES, values, expected, strict=True
            ):
                low, high = percentiles(measure.pooled_db(resampled(of_stage)))
                row = {
                    "kind": kind,
                    "variant": variant,
                    "stages": stages,
                    "period": 2**stages,
                    "seeds": count,
                    "theory_db": db,
                    "pooled_db": measure.pooled_db(of_stage),
                    "pooled_low": low,
                    "pooled_high": high,
                }
                for name, column in zip(
                    ("dbfs", "relative_db"), of_stage.T, strict=True
                ):
                    low, high = percentiles(column)
                    row[f"{name}_median"] = np.median(column)
                    row[f"{name}_low"], row[f"{name}_high"] = low, high
                yield row


def resampled(values: np.ndarray) -> np.ndarray:
    """Bootstrap samples over the first axis: (N, ...) to (draws, N, ...)."""
    rng = np.random.default_rng(0)
    return values[rng.integers(len(values), size=(DRAWS, len(values)))]


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.percentile(values, [2.5, 97.5])
    return low, high


def overlap_rows(
    kinds: Sequence[str], *, seeds: int, most: int = measure.STAGES[-1]
) -> Iterator[Row]:
    """Question 2: a row for each kind and number of stages.

    Transposed convolutions have up to so many stages, all other kinds one.
    """
    for kind in kinds:
        depths = range(1, most + 1 if kind.removeprefix("deconv_k").isdigit() else 2)
        powers = measure.phase_powers(kind, stages=len(depths), seeds=seeds)
        moments = constant_moments(kind, "linear")
        for stages, power, moment in zip(depths, powers, moments, strict=False):
            readings = measure.readings_db(power, theory.power(moment), DRAWS)
            low, high = percentiles(readings)
            value = float(overlap_db(kind, 2**stages, seeds=seeds))
            expected = theory.overlap_db(moment)
            bias = readings.mean() - expected
            yield {
                "kind": kind,
                "stages": stages,
                "period": 2**stages,
                "seeds": seeds,
                "theory_db": expected,
                "measured_db": value,
                "bias_db": bias,
                "corrected_db": value - bias,
                "expected_low": low,
                "expected_high": high,
            }


def training_rows(
    kinds: Sequence[str],
    *,
    seeds: int,
    size: int = 2000,
    steps: tuple[int, ...] = measure.STEPS,
) -> Iterator[Row]:
    """Question 3: a row for each loss, kind, seed and step."""
    for loss in measure.LOSSES:
        for kind in kinds:
            for seed in range(seeds):
                curve = measure.training_curve(kind, loss, seed, size, steps)
                for step, (*ripples, train_loss) in zip(steps, curve, strict=True):
                    yield {
                        "loss": loss,
                        "kind": kind,
                        "seed": seed,
                        "step": step,
                        **{
                            f"dc_ripple_db_s{s}": x
                            for s, x in zip(PERIODS, ripples, strict=True)
                        },
                        "train_loss": train_loss,
                    }


def variance_rows(
    kinds: Sequence[str], *, seeds: int, width: int = measure.WIDTH
) -> Iterator[Row]:
    """Question 4: a row for each kind, setting, input and stage."""
    for kind in kinds:
        for setting, (initializer, rectify) in measure.SETTINGS.items():
            result = measure.signal_powers(kind, setting, seeds=seeds, width=width)
            for name in measure.INPUTS:
                start = theory.white() if name == "white" else theory.constant()
                _, moments = theory.chain(
                    start,
                    UPSAMPLING[kind],
                    len(measure.STAGES),
                    initializer,
                    rectify=rectify,
                )
                values = np.float64(result[name]).T
                for stages, power, moment in zip(
                    measure.STAGES, values, moments, strict=True
                ):
                    low, high = percentiles(np.sqrt(resampled(power).mean(1)))
                    yield {
                        "kind": kind,
                        "setting": setting,
                        "input": name,
                        "stage": stages,
                        "seeds": seeds,
                        "theory_rms": theory.rms(moment),
                        "rms": np.sqrt(power.mean()),
                        "rms_low": low,
                        "rms_high": high,
                    }


def main(argv: list[str] | None = None) -> None:
    """Runs the study."""
    args = create_parser(__doc__, out=Path(__file__).parent).parse_args(argv)
    # It compiles a hundred small programs, which takes longer than to run them.
    flags = os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=1"
    os.environ["XLA_FLAGS"] = " ".join(flags)
    start(cores=1, cache=False)
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    questions = {
        "ripple": ripple_rows(UPSAMPLING, seeds=128),
        "overlap": overlap_rows(UPSAMPLING, seeds=1024),
        "training": training_rows(TRAINED, seeds=5),
        "variance": variance_rows(UPSAMPLING, seeds=64),
    }
    results = {}
    for name, rows in questions.items():
        results[name] = list(rows)
        kept = [rounded(row, ".4f") for row in results[name]]
        write_csv(args.out / f"{name}.csv", kept)
        print(f"{name}: done after {time.perf_counter() - began:.0f} s", flush=True)
    (args.out / "results.md").write_text(tables.report(**results))
    figures.draw(**results, out=args.out)
    seconds = time.perf_counter() - began
    print(machine.elapsed(seconds, ("jax", "flax", "numpy")))


if __name__ == "__main__":
    main()
