"""The study's tables in Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from caejax.metrics import table
from caejax.metrics.table import PERIODS
from caejax.models.diagnosis import clean_by_construction
from caejax.report.tables import to_markdown
from experiments.checkerboard import analysis, arms
from experiments.checkerboard.analysis import Finding
from experiments.checkerboard.arms import DECODER, ENCODER, ENCODER_REFERENCE
from experiments.checkerboard.records import Arm
from experiments.shared.cells import bracketed, mean_and_interval, mean_and_range
from experiments.shared.rows import Row, by_columns, done

TITLES = {
    "primary_mnist": "MNIST, fixed width",
    "primary_bsds": "BSDS500, fixed width",
    "matched_mnist": "MNIST, as many parameters",
    "matched_bsds": "BSDS500, as many parameters",
    "depth_mnist": "MNIST, one to three stages",
    "grid_mnist": "MNIST, bottleneck and noise",
    "downsampling_bsds": "BSDS500, the encoder's downsampling",
}
_SHOWN = ("test/psnr", "test/ssim", "test/dc_ripple_db_s8", "test/lattice_peak_db_s2")
_SHOWN += tuple(f"test/phase_var_db_s{s}" for s in PERIODS)
_SHOWN += ("test/grad_phase_db_s2", "test/dc_ripple_grey_s8", "test/lattice_grey_s8")
_SHOWN += (
    "test/ramp_ripple_db_s2",
    "test/shift_error_grey",
    "test/ripple_visibility_s8",
)
COLUMNS = {
    name: (table.title(name, short=True), f".{table.digits(name)}f") for name in _SHOWN
}
CONTRASTED = ("test/psnr", "test/ssim", "test/dc_ripple_db_s8")
CONTRASTED += ("test/dc_ripple_grey_s8", "test/lattice_grey_s8", "test/phase_var_db_s2")
CONTRASTED += ("test/phase_var_db_s4", "test/phase_var_db_s8")
GRADIENTS = {
    f"{split}/grad_phase_db_s{s}": (f"{when}, s{s} (dB)", ".2f")
    for split, when in (("init", "start"), ("test", "trained"))
    for s in PERIODS
}
SETTINGS = ("model.widths", "model.latent_channels", "corruption.level")


def matched_rows(kept: Mapping[str, Arm]) -> dict[str, list[Row]]:
    """By matched arm, runs of equal parameters: its own and the primary arm's."""
    return {
        name: _with_equals(kept[name].rows, kept[primary].rows)
        for name in kept
        if name.startswith("matched")
        and (primary := name.replace("matched", "primary")) in kept
    }


def _with_equals(matched, primary):
    matched = done(matched)
    kinds, seeds = analysis.kinds_of(matched), {row["seed"] for row in matched}
    equals = [
        row
        for row in done(primary)
        if row[DECODER] not in kinds and row["seed"] in seeds
    ]
    return sorted(matched + equals, key=lambda row: arms.KINDS.index(row[DECODER]))


def primaries(kept: Mapping[str, Arm]) -> list[str]:
    """The arms of all decoders at one setting that there are."""
    return [name for name in kept if name.startswith("primary")]


def all_findings(kept: Mapping[str, Arm]) -> list[tuple[str, Finding]]:
    """Where each prediction was tested, and what was found."""
    found = []
    for name in primaries(kept):
        rows, title = kept[name].rows, TITLES[name]
        found += [(title, analysis.initial_ripple(rows))]
        found += [(title, analysis.overlap(rows))]
        found += [(title, analysis.icnr(kept[name].curves))]
        found += [(title, analysis.separation(rows)), (title, analysis.ranks(rows))]
    for name, rows in matched_rows(kept).items():
        title = TITLES[name]
        found += [(title, analysis.separation(rows)), (title, analysis.ranks(rows))]
    if "depth_mnist" in kept:
        rows = kept["depth_mnist"].rows
        for widths in dict.fromkeys(row["model.widths"] for row in rows):
            stages = widths.count(",") + (not widths.endswith(",)"))
            some = [row for row in rows if row["model.widths"] == widths]
            title = f"{TITLES['depth_mnist']}: {stages}"
            found.append((title, analysis.initial_ripple(some, stages)))
    return sorted(found, key=lambda pair: pair[1].name)


def report(kept: Mapping[str, Arm]) -> str:
    """All tables."""
    found = all_findings(kept)
    parts = ["Written by study.py from the CSV files.\n", "## Verdicts\n"]
    lines = [[f.name, f.claim, where, f.verdict, f.text] for where, f in found]
    parts.append(to_markdown(["", "prediction", "on", "verdict", "numbers"], lines))
    parts += ["## What was run\n", run_table(kept)]
    for where, finding in found:
        if finding.lines:
            title = f"## {finding.name} on {where}: {finding.verdict}\n"
            parts += [title, to_markdown(finding.header, finding.lines)]
    for name in primaries(kept):
        parts += decoder_tables(TITLES[name], kept[name].rows, [DECODER, "seed"])
    for name, rows in matched_rows(kept).items():
        parts += decoder_tables(TITLES[name], rows, [DECODER, "seed"])
    for name, arm in kept.items():
        if arm.references:
            parts += reference_table(TITLES[name], arm.references)
    for name in ("depth_mnist", "grid_mnist"):
        if name in kept:
            parts += setting_tables(TITLES[name], kept[name].rows)
    if "downsampling_bsds" in kept:
        name = "downsampling_bsds"
        parts += downsampling_tables(TITLES[name], kept[name].rows)
    return "\n".join(parts)


def run_table(kept: Mapping[str, Arm]) -> str:
    """How each arm was run."""
    header = ["arm", "runs done", "seeds", "images", "steps", "batch"]
    header += ["s a run (median)", "device", "jax"]
    lines = []
    for name, arm in kept.items():
        config, machine = arm.about["config_of_first_run"], arm.about["machine"]
        seconds = arm.about["median_train_seconds"]
        line = [arm.about["runs"], len({row["seed"] for row in arm.rows})]
        line += [config["data"]["limit"] or "all", arm.about["steps"]]
        line += [config["train"]["batch_size"], f"{seconds:.1f}" if seconds else "-"]
        line += [f"{machine['device']}, {machine['cpu_cores']} cores"]
        lines.append([name, *map(str, line), machine["packages"]["jax"]])
    return to_markdown(header, lines)


def decoder_tables(title: str, rows: Sequence[Row], fields: list[str]) -> list[str]:
    """Means by decoder, then differences to the reference."""
    rows = done(rows)
    measures = [m for m in COLUMNS if any(m in row for row in rows)]
    header = ["decoder", "clean", "params", *(COLUMNS[m][0] for m in measures)]
    lines = []
    for kind in analysis.kinds_of(rows):
        count = next(row["params"] for row in rows if row[DECODER] == kind)
        line = [kind, "yes" if clean_by_construction(kind) else "no", f"{count:,}"]
        for m in measures:
            found = analysis.figures(rows, kind, m)
            line.append(mean_and_interval(found, COLUMNS[m][1]))
        lines.append(line)
    note = "Mean over seeds [95 % interval].\n"
    parts = [f"## {title}\n", note, to_markdown(header, lines)]
    return [*parts, *contrast_tables(title, rows, fields)]


def reference_table(title: str, rows: Sequence[Row]) -> list[str]:
    """Other estimators on the noisy images that the models were tested on."""
    header = ["estimator", "code", "noise", "images"]
    header += [COLUMNS[name][0] for name in ("test/psnr", "test/ssim")]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        words = (row["reference"], row.get("latent_size", ""), row["corruption.level"])
        groups.setdefault((*map(str, words), str(row["images"])), []).append(row)
    lines = []
    for words, some in groups.items():
        for name in ("test/psnr", "test/ssim"):
            values = np.array([float(row[name]) for row in some])
            words = (*words, mean_and_range(values, ".3f"))
        lines.append(words)
    note = "Mean over seeds [range]; tuned on validation images where it can be.\n"
    return [f"## {title}: other estimators\n", note, to_markdown(header, lines)]


def contrast_tables(title: str, rows: Sequence[Row], fields: list[str]) -> list[str]:
    """Differences to the reference: a table a measure, each a family of Holm's."""
    if not any(row[DECODER] == arms.REFERENCE for row in rows):
        return []
    parts = []
    for measure in CONTRASTED:
        if not any(measure in row for row in rows):
            continue
        found = analysis.against_reference(rows, fields, measure)
        name = COLUMNS[measure][0]
        parts += _contrasts(title, f"{name}, decoder minus {arms.REFERENCE}", found)
    return parts


def downsampling_tables(title: str, rows: Sequence[Row]) -> list[str]:
    """`grad_phase_db` and PSNR by the encoder's downsampling, then differences."""
    rows = done(rows)
    columns = {**GRADIENTS, "test/psnr": COLUMNS["test/psnr"]}
    kinds = analysis.kinds_of(rows, ENCODER)
    lines = [
        [kind]
        + [
            mean_and_interval(analysis.figures(rows, kind, measure, ENCODER), write)
            for measure, (_, write) in columns.items()
        ]
        for kind in kinds
    ]
    header = ["downsampling", *(name for name, _ in columns.values())]
    note = "`grad_phase_db` and PSNR: mean over seeds [95 % interval].\n"
    parts = [f"## {title}\n", note, to_markdown(header, lines)]
    fields = [f for f in (DECODER, ENCODER) if f in rows[0]] + ["seed"]
    for measure in ("init/grad_phase_db_s2", "test/grad_phase_db_s2", "test/psnr"):
        found = analysis.against_reference(
            rows, fields, measure, ENCODER, ENCODER_REFERENCE
        )
        name = columns[measure][0]
        parts += _contrasts(title, f"{name}, minus {ENCODER_REFERENCE}", found)
    return parts


def _contrasts(title, what, found):
    header = ["", "seeds", "mean [95 %]", "p (Holm)", "verdict"]
    lines = [_contrast_line(row) for row in found]
    return [f"### {title}: {what}\n", to_markdown(header, lines)]


def _contrast_line(row):
    interval = bracketed(row["mean"], row["low"], row["high"], ".3f")
    return [row["name"], str(row["n"]), interval, row["p_text"], row["verdict"]]


def setting_tables(title: str, rows: Sequence[Row]) -> list[str]:
    """PSNR, ripple and differences in PSNR: a line a setting, a column a decoder."""
    rows = done(rows)
    swept = [f for f in SETTINGS if any(f in row for row in rows)]
    groups = by_columns(rows, swept)
    kinds = analysis.kinds_of(rows)
    note = "Mean over seeds [95 % interval; of fewer than 5 seeds the range].\n"
    parts = [f"## {title}\n", note]
    for measure in ("test/psnr", "test/dc_ripple_db_s8"):
        name, write = COLUMNS[measure]
        lines = [
            [*map(str, setting)]
            + [_few(analysis.figures(some, kind, measure), write) for kind in kinds]
            for setting, some in groups.items()
        ]
        parts += [f"### {title}: {name}\n", to_markdown([*swept, *kinds], lines)]
    parts += _differences(title, groups, swept)
    note = "Differences below are each seed's mean over all settings.\n"
    fields = [DECODER, *swept, "seed"]
    return [*parts, note, *contrast_tables(title, rows, fields)]


def _differences(title, groups, swept):
    """PSNR minus the reference's, paired by seed, a line a setting."""
    found = {
        setting: {
            contrast.name.split(" - ")[0]: np.array(contrast.differences)
            for contrast in analysis.spread_over_seeds(some, "test/psnr")
        }
        for setting, some in groups.items()
    }
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row))
    lines = [
        [*map(str, setting)]
        + [_few(row.get(kind, np.array([])), ".2f") for kind in kinds]
        for setting, row in found.items()
    ]
    name = COLUMNS["test/psnr"][0]
    heading = f"### {title}: {name}, decoder minus {arms.REFERENCE}, by setting\n"
    return [heading, to_markdown([*swept, *kinds], lines)]


def _few(values, write):
    """Mean and interval; of few seeds the range."""
    if len(values) >= analysis.FEWEST:
        return mean_and_interval(values, write)
    return mean_and_range(values, write) if len(values) else ""
