"""The study's tables, in Markdown and CSV, from the arms' CSV files alone."""

import ast
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caejax.files.atomic import write_atomically
from caejax.files.csv_files import read_csv, write_csv
from caejax.metrics import table
from caejax.report.intervals import mean_interval
from caejax.report.tables import to_markdown
from experiments.fixing.tables import MENDED, TIED_UNTIED, column, differences
from experiments.shared.cells import bracketed, digits, mean_and_interval
from experiments.shared.rows import Row, by_columns, done, select
from experiments.tying import claims, plan, records
from experiments.tying.claims import PATTERN, PSNR, RIPPLE, SSIM, TIED, Finding
from experiments.tying.records import DECODER, Kept

SHOWN = (PSNR, SSIM, RIPPLE, "test/ripple_visibility_s8", PATTERN)
SHOWN += (
    "test/ramp_ripple_grey_s8",
    "test/shift_error_grey",
    "test/lattice_peak_db_s2",
)
CONTRASTED = (PSNR, SSIM, RIPPLE, PATTERN, "test/shift_error_grey")
GRID = ("model.latent_channels", "corruption.level")
_WRITE = {PSNR: ".2f", SSIM: ".4f"}
_VERDICTS = ("holds", "refuted", "open", "not run")


def write(arms: Mapping[str, Kept], out: Path) -> None:
    """Writes results.md, claims.csv and answers.md."""
    found = {data: claims.findings(arms, data) for data in plan.DATA}
    write_csv(out / "claims.csv", [r for d, f in found.items() for r in _rows(d, f)])
    write_atomically(out / "answers.md", answers(arms))
    parts = ["Written by study.py from the CSV files.\n"]
    parts += ["## Claims\n", *claim_tables(found)]
    parts += ["## What was run\n", run_table(arms), "## Answers\n", answers(arms)]
    for name, arm in arms.items():
        if name.startswith("grid"):
            parts += [f"## {name}\n", grid_table(arm.rows)]
        elif not plan.ARMS[name].rates:
            parts += arm_tables(name, arm, arms)
    write_atomically(out / "results.md", "\n".join(parts))


def _rows(data, found):
    for f in found:
        c = f.claim
        row = {"data": data, "claim": c.name, "text": c.text, "measure": c.measure}
        row |= {"side": c.side, "bound": c.bound, "in_db": c.log, "n": f.n}
        numbers = {"mean": f.mean, "low": f.low, "high": f.high, "p_holm": f.p}
        row |= {k: digits(x, ".5g") for k, x in numbers.items() if not math.isnan(x)}
        yield row | {"verdict": f.verdict}


def claim_tables(found: Mapping[str, Sequence[Finding]]) -> list[str]:
    """A table of the claims of each data set, with a line that counts verdicts."""
    parts = []
    header = ["", "claim", "bound", "n", "mean [95 %]", "p (Holm)", "verdict"]
    for data, some in found.items():
        lines = [
            [f.claim.name, f.claim.text, _bound(f.claim), str(f.n)]
            + [_found(f), "" if math.isnan(f.p) else f"{f.p:.2g}", f.verdict]
            for f in some
        ]
        count = {v: sum(f.verdict == v for f in some) for v in _VERDICTS}
        text = ", ".join(f"{n} {v}" for v, n in count.items() if n)
        parts += [f"### {data}: {text}\n", to_markdown(header, lines)]
    return parts


def _bound(claim):
    found = table.find(claim.measure)
    unit = "dB" if claim.log else found.metric.unit
    sign = {"within": "±", "above": "> ", "below": "< "}[claim.side]
    return f"{sign}{claim.bound:g} {unit}".strip()


def _found(f):
    if not f.n or math.isnan(f.mean):
        return ""
    size = abs(f.claim.bound)
    write = ".4f" if size < 0.01 else ".3f" if size < 0.1 else ".2f"
    return bracketed(f.mean, f.low, f.high, write)


def run_table(arms: Mapping[str, Kept]) -> str:
    """How each arm was run, how many diverged, and whether it was trained enough."""
    header = ["arm", "runs", "done", "diverged", "steps", "batch"]
    header += ["last tenth adds (dB, validation)", f"below {claims.SHORT} dB", "device"]
    lines = []
    for name, arm in arms.items():
        config, machine = arm.about["config_of_first_run"], arm.about["machine"]
        gains = np.array(
            [float(r["val/gain"]) for r in done(arm.rows) if "val/gain" in r]
        )
        steps = config["train"]["steps_per_epoch"] * config["train"]["epochs"]
        line = [name, len(arm.rows), len(done(arm.rows))]
        line += [len(claims.diverged(arm.rows)), steps, config["train"]["batch_size"]]
        if len(gains) > 1:
            share = (gains < claims.SHORT).mean()
            line += [f"{gains.mean():.3f}, at most {gains.max():.3f}", f"{share:.0%}"]
        else:
            line += ["", ""]
        lines.append([*map(str, line), f"{machine['device']}, {machine['cpu_cores']}"])
    return to_markdown(header, lines)


def arm_tables(name: str, arm: Kept, arms: Mapping[str, Kept]) -> list[str]:
    """Means by decoder, then differences to the reference, of one arm."""
    rows = done(arm.rows)
    if not rows:
        return []
    parts = [f"## {name}\n", means_table(rows)]
    if arm.references:
        text = "Other estimators on the same noisy images, all of the test images.\n"
        parts += [text, reference_table(arm.references), *lead_table(name, arms)]
    if "corruption.level" in rows[0]:
        return parts
    plain = arms.get(f"plain_{plan.ARMS[name].data}")
    reference = plain.rows if plain else ()
    has = any(row[DECODER] == plan.REFERENCE for row in rows)
    parts += contrast_tables(name, rows, () if has else reference)
    if arm.photographs:
        parts += crossed_table(arm)
    parts += rank_table(rows)
    return parts


def means_table(rows: Sequence[Row]) -> str:
    """Means over seeds with their 95 % intervals, a line a decoder and setting."""
    keys = [k for k in (DECODER, *GRID) if k in rows[0]]
    measures = [m for m in SHOWN if any(m in row for row in rows)]
    header = [*keys, "tie", "order", "widths", "params"]
    header += [table.title(m, short=True) for m in measures]
    lines = []
    for where, some in by_columns(rows, keys).items():
        tie, order = plan.TIES.get(where[0], ("mixed", ""))
        line = [*map(str, where), tie, str(order), str(some[0]["model.decoder_widths"])]
        line.append(f"{some[0]['params']:,}")
        for m in measures:
            found = (row.get(m) for row in some)
            values = np.array([float(x) for x in found if records.is_finite(x)])
            line.append(mean_and_interval(values, _spec(m)) if len(values) else "")
        lines.append(line)
    return to_markdown(header, lines)


def _spec(measure):
    return _WRITE.get(measure, f".{table.digits(measure)}f")


def contrast_tables(
    name: str, rows: Sequence[Row], reference: Sequence[Row]
) -> list[str]:
    """Differences to the reference: a table a measure, each a family of Holm's."""
    parts = []
    header = ["decoder", "n", "mean [95 %]", "p (Holm)", "verdict", "within margin"]
    for measure in CONTRASTED:
        found = claims.contrasts(rows, measure, reference)
        lines, write = [], f".{table.digits(measure) + 1}f"
        for row in found:
            if row["mean"] is not None:
                same = {True: "yes", False: "no", None: ""}[row.get("equal")]
                text = bracketed(row["mean"], row["low"], row["high"], write)
                line = [row["name"], str(row["n"]), text, row["p_text"]]
                lines.append([*line, row["verdict"], same])
        if lines:
            title = f"### {name}: {table.title(measure)}, minus {plan.REFERENCE}\n"
            parts += [title, to_markdown(header, lines)]
    return parts


def crossed_table(arm: Kept) -> list[str]:
    """Differences to the reference for other seeds and other photographs."""
    lines = []
    for decoder in dict.fromkeys(row[DECODER] for row in arm.photographs):
        found = [
            claims.crossed(arm.photographs, decoder, name)
            for name in records.OF_PHOTOGRAPHS
        ]
        if decoder != plan.REFERENCE and any(found):
            lines.append([decoder, *map(_crossed, records.OF_PHOTOGRAPHS, found)])
    if not lines:
        return []
    header = ["decoder"]
    header += [table.title(name, short=True) for name in records.OF_PHOTOGRAPHS]
    text = (
        f"Minus {plan.REFERENCE}, for other seeds and other photographs; behind it the "
        "share of its variance that photographs have.\n"
    )
    return [text, to_markdown(header, lines)]


def _crossed(name, x):
    if x is None:
        return ""
    share = min(1.0, x.of_groups / max(x.error**2, 1e-30))
    write = f".{table.digits(name) + 1}f"
    return f"{bracketed(x.mean, x.low, x.high, write)}, {share:.0%}"


def rank_table(rows: Sequence[Row]) -> list[str]:
    """Ranks by PSNR and SSIM with intervals, and their correlation with ripple."""
    found = {m: claims.ranks(rows, m) for m in (PSNR, SSIM)}
    if not all(found.values()):
        return []
    names = next(iter(found.values()))[0]
    lines = [
        [name]
        + [f"{r.ranks[i]:g} [{r.low[i]:g}, {r.high[i]:g}]" for _, r in found.values()]
        for i, name in enumerate(names)
    ]
    parts = [to_markdown(["decoder", "rank by PSNR", "rank by SSIM"], lines)]
    for measure in (PSNR, SSIM):
        if x := claims.tau(rows, measure):
            parts.append(
                f"Kendall's tau of ripple and {table.title(measure)}: "
                f"{bracketed(x.value, x.low, x.high)} for other seeds and decoders, "
                f"{bracketed(x.value, x.seeds_low, x.seeds_high)} for other seeds.\n"
            )
    return parts


def grid_table(rows: Sequence[Row]) -> str:
    """PSNR minus the reference's at each point of the grid, mean and interval."""
    rows = done(rows)
    points = list(by_columns(rows, GRID))
    header = ["decoder", *(f"code {c}, noise {n}" for c, n in points)]
    names = [n for (n,) in by_columns(rows, [DECODER]) if n != plan.REFERENCE]
    lines = []
    for name in names:
        line = [name]
        for point in points:
            some = select(rows, **dict(zip(GRID, point, strict=True)))
            kept = [r for r in some if r[DECODER] in (name, plan.REFERENCE)]
            found = claims.contrasts(kept, PSNR)
            fine = bool(found) and found[0]["mean"] is not None
            line.append(
                bracketed(found[0]["mean"], found[0]["low"], found[0]["high"])
                if fine
                else ""
            )
        lines.append(line)
    return to_markdown(header, lines)


def reference_table(rows: Sequence[Row]) -> str:
    """Other estimators, a line for each and each level of noise."""
    header = ["estimator", "noise", "images", "tuned", "PSNR (dB)", "SSIM"]
    lines = [
        [str(row["reference"]), str(row["corruption.level"]), str(row["images"])]
        + [str(row.get("parameters", ""))]
        + [f"{float(row[PSNR]):.2f}", f"{float(row[SSIM]):.3f}"]
        for row in rows
    ]
    return to_markdown(header, lines)


def lead_table(name: str, arms: Mapping[str, Kept]) -> list[str]:
    """By how much the U-Net is ahead of other estimators, by level: claim K."""
    found = claims.leads(arms, plan.ARMS[name].data)
    header = ["K: the U-Net minus", "noise", "seeds", "PSNR (dB) [95 %]", "verdict"]
    lines = [
        [x.estimator, f"{x.level:g}", str(x.n), bracketed(x.mean, x.low, x.high)]
        + [x.verdict]
        for x in found
    ]
    return [to_markdown(header, lines)] if lines else []


class Case(NamedTuple):
    """A line of the answers.

    Attributes:
      when: the engineer's case.
      use: what to use.
      arm, decoder: where that was measured, without the data's name.
      of_arm, instead: what it is compared with.
      data: the data sets that are of the case.
    """

    when: str
    use: str
    arm: str
    decoder: str
    of_arm: str
    instead: str
    data: tuple[str, ...] = plan.DATA


_REF = plan.REFERENCE
CASES = (
    Case("nothing else is known", "nearest_k3", "plain", _REF, "plain", "deconv_k4"),
    Case("parameters are free", "shuffle_tied", "time", "shuffle_tied", "plain", _REF),
    Case(
        "sub-pixel speed matters",
        "deconv_k4_tied",
        "multiplications",
        "deconv_k4_tied",
        "plain",
        _REF,
    ),
    Case(
        "there are skips",
        "deconv_k4_tied",
        "unet_refine",
        "deconv_k4_tied",
        "unet_refine",
        "deconv_k4",
    ),
    Case(
        "content is sharp-edged (digits)",
        "shuffle_tied, no blur",
        "plain",
        "shuffle_tied",
        "plain",
        "shuffle_hold",
        ("mnist",),
    ),
    Case(
        "not to be believed: a kernel divisible by the stride is clean",
        "-",
        "plain",
        "deconv_k4",
        "plain",
        "deconv_k3",
    ),
    Case(
        "not to be believed: ICNR is a cure",
        "-",
        "plain",
        "shuffle_icnr",
        "plain",
        "shuffle_k3",
    ),
    Case(
        "not to be believed: train longer",
        "-",
        "long",
        "deconv_k4",
        "plain",
        "deconv_k4",
    ),
)
# Models that are trained already are those of another study: what to do, the columns
# that are compared, and those of the ripple, in dB of the response to the constant and
# in grey levels.
_FIXED = Path(__file__).parents[1] / "fixing" / "results.csv"
_TRAINED = {
    ("a model is trained already", "caejax fix, then two epochs with tied phases"): (
        TIED_UNTIED,
        ("tied_ripple_db", "untied_ripple_grey"),
    ),
    ("not to be believed: caejax fix alone is enough", "-"): (
        MENDED,
        ("mended_ripple_db", "ripple_grey"),
    ),
}
_MODELS = {
    "tied_psnr": "trained on tied",
    "untied_psnr": "trained on untied",
    "mended_psnr": "mended",
    "psnr": "before",
}


def answers(arms: Mapping[str, Kept]) -> str:
    """The table for engineers: if, then use, and what that costs and draws.

    Every number is the difference between the two decoders of a case, paired by seed;
    where it is not in favour of what is advised, the reader sees it. Costs are those of
    the decoder, as often as those of what it is held against.
    """
    header = ["if", "use", "against", "data", "PSNR (dB)", "SSIM"]
    header += ["parameters", "multiplications"]
    header += ["ripple of constants, grey levels: with", "without"]
    lines = []
    for case in CASES:
        for data in case.data:
            one, other = (arms.get(f"{a}_{data}") for a in (case.arm, case.of_arm))
            if one is None or other is None:
                continue
            line = [case.when, case.use, _versus(case), data]
            for measure, write in ((PSNR, "+.3f"), (SSIM, "+.4f")):
                line.append(_difference(one, other, case, measure, write))
            line += _costs(one, other, case, data)
            line += [
                _mean(kept.rows, name)
                for kept, name in ((one, case.decoder), (other, case.instead))
            ]
            lines.append(line)
    if not lines:
        return ""
    return to_markdown(header, [*lines, *_trained_lines()])


def _trained_lines():
    """What the study of fixing says of models that are trained already."""
    rows = read_csv(_FIXED)
    for case, (compared, (ripple, before)) in _TRAINED.items():
        for kind in TIED.values():
            some = select(rows, kind=kind)
            x = differences(some, *compared)
            psnr = bracketed(float(x.mean()), *mean_interval(x), "+.3f")
            names = " - ".join(_MODELS[name] for name in compared)
            against = f"{kind}, {names} (fixing)"
            line = [*case, against, "mnist", psnr, "", "x 1.00", "x 1.00"]
            drawn = f"at most {column(some, ripple).max():.0f} dB"  # rounding
            yield [*line, drawn, mean_and_interval(column(some, before))]


def _costs(one, other, case, data):
    """Parameters and multiplications of a decoder, over those of the other."""
    found = []
    for cost in ("parameters", "multiplications"):
        both = [
            _cost(kept.rows, name, f"{arm}_{data}", cost)
            for kept, name, arm in (
                (one, case.decoder, case.arm),
                (other, case.instead, case.of_arm),
            )
        ]
        found.append(f"x {both[0] / both[1]:.2f}" if all(both) else "")
    return found


def _cost(rows, name, arm, cost):
    row = next((row for row in rows if row[DECODER] == name), None)
    if row is None:
        return None
    widths = ast.literal_eval(str(row["model.decoder_widths"]))
    form = plan.ARMS[arm].form
    return plan.COSTS[cost](plan.stages(name), widths, plan.ARMS[arm].data, form)


def _versus(case):
    names = [case.decoder, case.instead]
    arms = [case.arm, case.of_arm]
    first, second = (f"{n} ({a})" for n, a in zip(names, arms, strict=True))
    return f"{first} - {second}"


def _difference(one, other, case, measure, write):
    first, second = (records.by_seed(kept.rows, measure) for kept in (one, other))
    seeds = [s for n, s in first if n == case.decoder and (case.instead, s) in second]
    x = np.array([first[case.decoder, s] - second[case.instead, s] for s in seeds])
    if len(x) < 2:
        return ""
    return bracketed(float(x.mean()), *mean_interval(x), write)


def _mean(rows, name):
    found = records.by_seed(rows, RIPPLE)
    values = np.array([x for (n, _), x in found.items() if n == name])
    return mean_and_interval(values) if len(values) else ""
