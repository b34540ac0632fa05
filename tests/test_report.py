import itertools
import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from caejax.errors import CaejaxError
from caejax.files.locks import FILES_LOCK, holding
from caejax.metrics.table import find, shown_columns
from caejax.models.kinds import CONTENT, UPSAMPLING
from caejax.report import (
    applied,
    captions,
    crops,
    decoders,
    figures,
    panels,
    patterns,
    style,
    tables,
    views,
)
from caejax.report import report as report_lib
from caejax.report.read import RunFiles, SweepFiles, read_sweep
from caejax.report.report import report
from experiments.shared.styles import kind_style

FIELDS = ["model.latent_channels", "model.upsampling", "corruption.level", "seed"]


def sweep(rows):
    return SweepFiles({}, FIELDS, rows, {})


def row(channels, decoder, level, seed, psnr, **figures):
    values = dict(zip(FIELDS, (channels, decoder, level, seed), strict=True))
    return values | {"status": "done", "test/psnr": psnr} | figures


ROWS = [
    row(channels, decoder, level, seed, psnr=channels + seed)
    for channels in (2, 8, 16)
    for decoder in ("deconv_k3", "nearest_k3")
    for level in (0.1, 0.5)
    for seed in (0, 1)
]


def test_columns_keep_the_order_of_the_sweep():
    figure = figures.against(sweep(ROWS), "corruption.level")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"bottleneck channels {n}" for n in (2, 8, 16)]
    plt.close(figure)


def test_lines_are_means_over_seeds():
    figure = figures.against(sweep(ROWS), "model.latent_channels")
    assert "seeds 0 and 1" in figure.get_suptitle()
    line = figure.axes[0].get_lines()[0]
    assert list(line.get_xdata()) == [2, 8, 16]
    assert list(line.get_ydata()) == [2.5, 8.5, 16.5]
    plt.close(figure)


def test_of_one_seed_nothing_is_called_a_mean():
    rows = [row for row in ROWS if row["seed"] == 0]
    figure = figures.against(sweep(rows), "model.latent_channels")
    assert "ean" not in figure.get_suptitle()
    plt.close(figure)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, r"^one seed a setting\n(?s:.*)\ntoo few seeds to tell which is better"),
        (2, r"^mean over 2 seeds; (?s:.*)\ntoo few seeds to tell which is better"),
        (3, r"^mean over 3 seeds; tables/results.md has the ranges\n(?!(?s:.*)few)"),
    ],
)
def test_the_terminal_says_how_many_seeds_there_are(seeds, said, capsys):
    rows = [row(2, name, 0.1, seed, 9.0) for name in "ab" for seed in range(seeds)]
    tables.print_sweep(sweep(rows))
    assert re.search(said, capsys.readouterr().out)


def test_the_terminal_tells_rows_of_other_numbers_of_seeds_and_missing_runs(capsys):
    rows = [row(2, "a", 0.1, seed, 9.0) for seed in range(2)] + [row(2, "b", 0.1, 0, 7)]
    lost = row(2, "b", 0.1, 1, 0.0)
    lost = {name: lost[name] for name in FIELDS} | {"status": "pending"}
    tables.print_sweep(sweep([*rows, lost]))
    said = capsys.readouterr().out
    assert said.startswith("mean over each row's seeds; tables/results.md has")
    assert re.search(r" seeds .*\n.*\n.* a +0.1 +2 +9.00.*\n.* b +0.1 +1 +7.00", said)
    assert "\n1 of 4 runs is missing; give the command that began the sweep" in said


def test_the_terminal_tells_runs_of_few_steps(capsys):
    rows = [row(2, "a", 0.1, seed, 9.0, steps=seed + 99) for seed in range(3)]
    tables.print_sweep(sweep(rows))
    assert "\n1 of 3 runs took less than 100 steps, in" in capsys.readouterr().out
    tables.print_sweep(sweep(rows[1:]))
    assert "steps" not in capsys.readouterr().out


def test_the_page_says_what_the_columns_of_its_tables_mean():
    template = (Path(tables.__file__).parent / "page.html.jinja").read_text()
    _, _, rest = template.partition('id="reading"')
    reading = rest.partition("</details>")[0].lower()
    for name in shown_columns():
        metric = find(name).metric
        assert (metric.short or metric.label).lower() in reading, name
        assert not metric.unit or metric.unit.lower() in reading, name


def test_the_inputs_quality_stands_beside_the_outputs(capsys):
    """In a run's key numbers on its page, and on the terminal."""
    names = [f"test/{name}" for name in ("psnr", "psnr_noisy", "ssim", "ssim_noisy")]
    summary = dict.fromkeys(reversed(names), 0.5)
    titles = ["PSNR", "PSNR of the input", "SSIM", "SSIM of the input"]
    shown = [x["name"] for x in views.key_numbers(summary)["Image quality"]]
    assert [name.removesuffix(" (dB)") for name in shown] == titles
    tables.print_essentials(summary, "summary.json")
    found = re.findall(r"test/\w+", capsys.readouterr().out)
    assert found == names


def test_the_terminal_has_words_and_says_what_is_worse_than_its_input(capsys):
    summary = {"test/psnr": 11.35, "test/psnr_noisy": 12.82, "test/loss": 0.5}
    tables.print_essentials(summary | {"params": 9, "train_seconds": 2.0}, "there")
    said = capsys.readouterr().out
    assert re.findall("loss of.*?  |param\\w*|seconds of \\w+", said) == [
        "loss of test images  ",
        "parameters",
        "params",
        "seconds of training",
    ]
    assert "worse than its input: test PSNR 11.35 dB, the input's 12.82 dB" in said
    rows = [row(2, name, 0.1, 0, 9.0) for name in "abc"]
    for one, noisy in zip(rows, (8.0, 10.0, 11.0), strict=True):
        one["test/psnr_noisy"] = noisy
    tables.print_sweep(sweep(rows))
    assert "worse than the input: 2 of 3 settings" in capsys.readouterr().out


def test_runs_without_a_measure_are_left_out_of_its_panel():
    rows = [*ROWS, row(2, "nearest_k3", 0.9, 0, 1.0, **{"test/dc_ripple_db_s8": -9.0})]
    figure = figures.against(sweep(rows), "corruption.level")
    assert len(figure.axes) == 2 * 3
    plt.close(figure)


def test_numeric_fields_leave_out_names_and_seeds():
    fields = figures.numeric_fields(sweep(ROWS))
    assert fields == ["model.latent_channels", "corruption.level"]


def zipped(pairs):
    """A sweep over decoders that have widths of their own, at two noise levels."""
    fields = ["corruption.level", "model.upsampling", "model.decoder_widths", "seed"]
    points = [(level, *pair) for level in (0.1, 0.5) for pair in pairs]
    rows, runs = [], {}
    for i, point in enumerate(points):
        row = dict(zip(fields, (*point, 0), strict=True))
        rows.append(row | {"run_id": str(i), "status": "done", "test/psnr": i})
        config = {"model": {"upsampling": point[1]}}
        runs[str(i)] = RunFiles(config, {}, [], {"flat": None})
    axis = {"field": fields[1:3], "values": pairs}
    config = {"sweep": {"decoder": axis, "noise": {"field": fields[0], "values": ()}}}
    return SweepFiles(config, fields, rows, runs)


def test_what_changes_with_the_decoder_is_no_other_setting():
    files = zipped([("deconv_k3", "(8, 8)"), ("nearest_k3", "(16, 8)")])
    assert figures.comparable_runs(files) == {
        "deconv_k3": files.runs["2"],
        "nearest_k3": files.runs["3"],
    }
    figure = figures.against(files, "corruption.level")
    (axis,) = figure.axes
    lines = [list(line.get_ydata()) for line in axis.get_lines()[::3]]
    assert lines == [[0, 2], [1, 3]]
    plt.close(figure)


@pytest.mark.parametrize(
    ("scores", "seed", "words"),
    [
        # Seed 2 has the means' order, and is the nearest to them.
        (
            {"a": [20, 24, 21.5], "b": [21, 20, 20.5]},
            2,
            "the seed whose PSNRs are nearest to the means, so that",
        ),
        (
            {"a": [20.1, 20.3], "b": [19.3, 20.6]},
            1,
            "of two seeds the one that has the highest PSNR, so that",
        ),
        ({"a": [20.7, 20.3], "b": [19.3, 20.6]}, 0, "of two seeds"),
    ],
)
def test_decoders_are_shown_of_the_seed_nearest_to_the_means(scores, seed, words):
    """Two seeds are equally near; other settings have means of their own."""
    fields = ["corruption.level", "model.upsampling", "seed"]
    rows, runs = [], {}
    for level in (0.5, 0.1):
        for name, values in scores.items():
            for i, psnr in enumerate(values):
                row = dict(zip(fields, (level, name, i), strict=True))
                row |= {"status": "done", "run_id": str(len(rows))}
                rows.append(row | {"test/psnr": psnr - 10 * level})
                config = {"seed": i, "model": {"upsampling": name}}
                runs[row["run_id"]] = RunFiles(config, {}, [], {"flat": None})
    files = SweepFiles({"sweep": {}}, fields, rows, runs)
    compared = figures.comparable_runs(files)
    assert {name: run.config["seed"] for name, run in compared.items()} == {
        "a": seed,
        "b": seed,
    }
    first = runs[str(len(rows) // 2 + seed)]
    assert compared["a"] is first  # at the level of the highest PSNR
    assert words in captions.captions_of_sweep(files)["denoisers"]


def test_decoders_are_compared_where_most_of_them_are_done():
    """And a caption says which are not there."""
    files = zipped([(kind, "(8, 8)") for kind in ("deconv_k3", "nearest_k3")])
    lost = files._replace(rows=files.rows[:3])
    assert figures.comparable_runs(lost) == {
        "deconv_k3": files.runs["0"],
        "nearest_k3": files.runs["1"],
    }
    apart = files._replace(rows=files.rows[1:3])
    assert list(figures.comparable_runs(apart)) == ["deconv_k3"]
    (caption, *_) = captions.captions_of_sweep(apart).values()
    assert "One run a decoder, where no run of nearest_k3 is done" in caption


def test_a_decoder_of_several_widths_is_named_by_them():
    wide, narrow = ("deconv_k3", "(16, 8)"), ("deconv_k3", "(8, 8)")
    files = zipped([wide, narrow])
    names = ["deconv_k3\n(16, 8)", "deconv_k3\n(8, 8)"]
    assert list(figures.comparable_runs(files)) == names
    figure = figures.against(files, "corruption.level")
    assert figure.axes[0].get_legend_handles_labels()[1] == names
    lines = figure.axes[0].get_lines()[::3]
    assert len({line.get_color() for line in lines}) == 1
    assert len({line.get_marker() for line in lines}) == 2
    plt.close(figure)


def test_a_decoder_has_one_look_in_every_figure():
    for pairs in (ROWS, ROWS[4:]), (ROWS[::-1], ROWS):
        colors = []
        for rows in pairs:
            figure = figures.against(sweep(rows), "model.latent_channels")
            handles, names = figure.axes[0].get_legend_handles_labels()
            looks = [handle[0].get_color() for handle in handles]
            colors.append(dict(zip(names, looks, strict=True))["nearest_k3"])
            plt.close(figure)
        assert set(colors) == {decoders.style_of("nearest_k3")["color"]}


def test_sentences_on_decoders_are_true_and_complete():
    assert list(decoders.SENTENCES) == list(UPSAMPLING)
    for name, kind in UPSAMPLING.items():
        even, odd = sum(kind.fixed[::2]), sum(kind.fixed[1::2])
        clean = name in CONTENT or kind.projected or abs(even - odd) < 1e-9
        assert ("no checkerboard on constant" in decoders.sentence(name)) == clean
    assert [kind_style(name) for name in UPSAMPLING] == [
        decoders.style_of(name) for name in UPSAMPLING
    ]


def wide_sweep(names, side=8):
    """A sweep over decoders of such names, with all that figures draw."""
    rng = np.random.default_rng(0)
    x = rng.random((4, side, side, 1))
    arrays = dict.fromkeys(("target", "input", "output"), x)
    arrays["flat"] = rng.random((4, 16, 16, 1))
    arrays |= dict.fromkeys(("gallery_input", "gallery_output", "gallery_ripple"), x)
    arrays["residual_spectrum"] = rng.random((16, 16))
    arrays["residual_phase_means"] = rng.random((8, 8, 1))
    curve = [
        {"split": "val", "step": step}
        | {f"dc_ripple_db_s{p}": -120.0 for p in (2, 4, 8)}
        for step in (0, 10, 20)
    ]
    rows, runs = [], {}
    for place, name in enumerate(names):
        summary = {"test/psnr": 9.0 + place, "test/dc_ripple_db_s8": -20.0 - 20 * place}
        config = {
            "corruption": {"name": "salt_and_pepper", "level": 0.123456},
            "data": {"source": "folder", "name": "a rather long name of some pictures"},
            "model": {"upsampling": name},
            "seed": 7,
        }
        runs[str(place)] = RunFiles(config, summary, curve, arrays)
        row = {
            "run_id": str(place),
            "status": "done",
            "seed": 7,
            "model.upsampling": name,
        }
        rows += [row | {"corruption.level": level} | summary for level in (0.1, 0.5)]
    return SweepFiles(
        config, ["model.upsampling", "corruption.level", "seed"], rows, runs
    )


LONG = [f"a_decoder_with_a_long_name_{i}" for i in range(3)]


@pytest.mark.parametrize("width", [style.PAGE, style.NARROW])
@pytest.mark.parametrize(
    "names", [["nearest_k3"], list(decoders.SENTENCES)[:11], LONG], ids=len
)
def test_no_text_is_cropped(names, width):
    files = wide_sweep(names)
    compared = figures.comparable_runs(files)
    setting = figures.setting_of_compared(files, compared)
    with style.paper_style():
        for draw in (
            partial(figures.decoder_grid, files),
            partial(figures.against, files, "corruption.level"),
            partial(figures.ripple_steps, files),
            partial(patterns.spectra, compared, setting),
            partial(patterns.phase_means, compared, setting),
            partial(patterns.gallery, compared, setting),
            partial(figures.curves, files.runs["0"]),
            partial(figures.reconstructions, files.runs["0"]),
        ):
            figure = draw(width=width)
            assert "salt_and_pepper" in figure.get_suptitle()
            assert figure.get_figwidth() <= width + 1e-9
            assert cropped(figure) == [], draw.func.__name__
            plt.close(figure)


def cropped(figure):
    """Texts of a figure that are not wholly in it."""
    figure.canvas.draw()
    box, found = figure.bbox, []
    unseen = [
        tick.label1
        for axes in figure.axes
        for axis, (a, b) in (
            (axes.xaxis, axes.get_xlim()),
            (axes.yaxis, axes.get_ylim()),
        )
        for tick in axis.get_major_ticks()
        if not min(a, b) <= tick.get_loc() <= max(a, b)
    ]
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text() and text not in unseen:
            lies = text.get_window_extent()
            inside = box.x0 - 1 <= lies.x0 and lies.x1 <= box.x1 + 1
            inside = inside and box.y0 - 1 <= lies.y0 and lies.y1 <= box.y1 + 1
            axis = text.axes
            if not inside and (axis is None or axis.get_visible()):
                found.append(text.get_text())
    return found


@pytest.mark.parametrize("width", [style.PAGE, style.NARROW])
@pytest.mark.parametrize("names", [["deconv_k4", "nearest_k3"], LONG], ids=len)
def test_no_text_lies_on_another(names, width):
    compared = figures.comparable_runs(wide_sweep(names))
    with style.paper_style():
        for draw in (patterns.spectra, patterns.phase_means):
            figure = draw(compared, "a setting, seed 7", width)
            assert cropped(figure) == overlapping(figure) == [], draw.__name__
            plt.close(figure)


def overlapping(figure):
    """Pairs of texts of a figure of which one lies on the other; not of numbers."""
    texts = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and re.search("[a-z]", text.get_text())
    ]
    return [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) > max(a.x0, b.x0) + 1
        and min(a.y1, b.y1) > max(a.y0, b.y0) + 1
    ]


def test_grey_levels_are_numbers_in_full():
    assert figures.in_greys(0.4) == "100"
    assert figures.drawn_by({"test/dc_ripple_db_s8": -8.0}) == "100"
    assert figures.drawn_by({"test/dc_ripple_db_s8": -20.0}) == "26"
    assert figures.drawn_by({"test/dc_ripple_db_s8": -50.0}) == "0.81"
    assert figures.drawn_by({"test/dc_ripple_db_s8": -200.0}) == "none"


def test_ripple_tiles_lie_under_their_columns():
    files = wide_sweep([*list(decoders.SENTENCES)[:9], *LONG])
    figure = figures.decoder_grid(files)
    figure.canvas.draw()
    drawn = [axis for axis in figure.axes if len(axis.images) == 2]
    assert len(drawn) == 12
    for axis in drawn:
        examples, tile = (image.get_extent() for image in axis.images)
        assert [*examples[:2]] == [*tile[:2]] == [0, 1]
        assert tile[3] > examples[2]  # below; heights grow downwards
    plt.close(figure)


def test_a_line_marks_where_rounding_begins():
    files = wide_sweep(["deconv_k3", "nearest_k3", "bilinear_k3", "a", "b", "c"])
    for figure in (
        figures.against(files, "corruption.level"),
        figures.ripple_steps(files),
    ):
        levels = [
            list(line.get_ydata()) for axis in figure.axes for line in axis.get_lines()
        ]
        assert [-100, -100] in levels
        plt.close(figure)
    loud = wide_sweep(["deconv_k3"])
    figure = figures.against(loud, "corruption.level")
    assert not any("rounding" in t.get_text() for t in figure.findobj(Text))
    plt.close(figure)


def test_spectra_fill_their_axes_and_the_black_pixel_is_explained():
    for side in (16, 15):
        files = wide_sweep(["deconv_k3"])
        runs = figures.comparable_runs(files)
        (run,) = runs.values()
        run.samples["residual_spectrum"] = np.ones((side, side))
        axis = patterns.spectra(runs).axes[0]
        left, right, bottom, top = axis.images[0].get_extent()
        assert axis.get_xlim() == (left, right)
        assert axis.get_ylim() == (bottom, top)
        plt.close(axis.figure)
    assert "middle is the mean" in captions.CAPTIONS["residual_spectrum"]


def test_the_words_of_figures_say_what_numbers_are():
    figure = figures.decoder_grid(wide_sweep(["deconv_k3"]))
    told = [" ".join(x.get_text().split()) for x in figure.findobj(Text)]
    ends = r"from −[\d.]+ \(black\) to \+[\d.]+ \(white\) of 255 grey levels"
    assert any(re.search(ends, x) for x in told)
    plt.close(figure)
    x = np.zeros((3, 8, 8, 1))
    figure = applied.interpolation((x[0], x[1]), list(x), [0, 0.125, 1])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["first", "0 %", "12.5 %", "100 %", "second"]
    assert "of the second's" in figure.get_supxlabel()
    plt.close(figure)


def stages(*values):
    """A sweep whose ripples at periods 2, 4 and 8 are these along training, too."""
    files = wide_sweep(["deconv_k3"])
    ripples = dict(zip((2, 4, 8), values, strict=True))
    curve = [
        {"split": "val", "step": step, "loss": 1.0}
        | {f"dc_ripple_db_s{p}": x for p, x in ripples.items()}
        for step in (0, 10)
    ]
    rows = [
        row | {f"test/dc_ripple_db_s{p}": x for p, x in ripples.items()}
        for row in files.rows
    ]
    runs = {name: run._replace(rows=curve) for name, run in files.runs.items()}
    return files._replace(rows=rows, runs=runs)


@pytest.mark.parametrize(
    ("values", "panels", "named"),
    [
        ((-9.0, -8.0, -7.0), (2, 4, 8), (2, 4, 8)),
        ((-9.0, -8.0, -8.0000001), (2, 4), (2, 8)),
        ((-9.0, -9.0, -9.0), (2,), (8,)),
    ],
)
def test_periods_that_repeat_shorter_ones_are_not_shown_again(values, panels, named):
    files = stages(*values)
    figure = figures.ripple_steps(files)
    assert [x.get_title() for x in figure.axes] == [f"period {p}" for p in panels]
    plt.close(figure)
    figure = figures.curves(files.runs["0"])
    _, names = figure.axes[2].get_legend_handles_labels()
    assert names == [f"period {p}" for p in panels]
    plt.close(figure)
    header, _ = tables.sweep_table(files)
    wanted = [f"ripple s{p} (dBFS)" for p in named]
    assert [name for name in header if name.startswith("ripple")] == wanted


def test_an_axis_of_ripples_ends_where_rounding_begins():
    figure = figures.ripple_steps(stages(-20.0, -30.0, -170.0))
    figure.canvas.draw()
    drawn = [list(axis.get_lines()[0].get_ydata()) for axis in figure.axes]
    assert drawn == [[-20, -20], [-30, -30], [-100, -100]]
    for axis in figure.axes:
        assert -110 < axis.get_ylim()[0] < -100
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "none"
    assert "−20" in labels
    plt.close(figure)


def test_axes_that_are_logarithmic_are_so_where_they_can_be_and_say_so():
    """Losses by halves make equal steps; one that is not positive is drawn linear."""
    splits = [{"split": "train", "step": 8 * i, "loss": 2.0**-i} for i in range(5)]
    rows = [row | {"split": "val", "dc_ripple_db_s2": -9.0} for row in splits]
    run = RunFiles({}, {}, [*splits, *rows], {})
    chart, *_ = panels._charts(run)
    assert chart["title"] == "loss, log axis"
    heights = [float(x.split(",")[1]) for x in chart["lines"]["train"].split(" ")]
    np.testing.assert_allclose(np.diff(heights), panels.CHART[1] / 4, atol=0.11)
    assert (chart["low"], chart["high"]) == ("0.0625", "1")
    figure = figures.curves(run)
    assert figure.axes[0].get_yscale() == "log"
    figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert {"0.1", "1"} <= set(labels)
    assert figure.axes[2].get_xlabel() == "step (log scale)"
    plt.close(figure)
    run.rows.append({"split": "val", "step": 40, "loss": -0.1})
    assert panels._charts(run)[0]["title"] == "loss"
    figure = figures.curves(run)
    assert figure.axes[0].get_yscale() == "linear"
    plt.close(figure)


def test_parts_of_large_pictures_are_enlarged():
    image = np.zeros((2, 80, 96, 1))
    image[:, 60:, :24] = np.indices((20, 24)).sum(0)[..., None] % 2
    assert crops.is_large(image)
    windows = crops.windows_of(image)
    assert windows == [(slice(60, 80), slice(0, 24))] * 2
    large = crops.enlarged(image, windows)
    np.testing.assert_array_equal(large[:, ::4, ::4], image[:, 60:, :24])
    np.testing.assert_array_equal(large[:, 3::4, 3::4], image[:, 60:, :24])


def test_a_report_keeps_other_commands_out_of_its_folder(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"sweep": {}}))
    free = []

    def draw(folder):
        with holding(folder / FILES_LOCK, wait=False) as mine:
            free.append(mine)

    monkeypatch.setattr(report_lib, "_report_run", draw)
    report(tmp_path)
    assert free == [False]


def test_21_series_look_different():
    assert len({tuple(style.series_style(i).items()) for i in range(21)}) == 21


def runs_with(**arrays):
    return {name: RunFiles({}, {}, [], arrays) for name in ("one", "two")}


def test_wedges_outside_mark_what_each_period_adds():
    figure = patterns.spectra(runs_with(residual_spectrum=np.full((24, 16), 1 / 384)))
    wedges = [w.get_offsets() for w in figure.axes[0].collections]
    left, right, bottom, top = figure.axes[0].get_images()[0].get_extent()
    assert (left, right) == pytest.approx((-0.5 - 1 / 32, 0.5 - 1 / 32))
    assert (top, bottom) == pytest.approx((-0.5 - 1 / 48, 0.5 - 1 / 48))
    # Above the picture and on its right, so that no pixel is covered.
    for above, beside in zip(wedges[::2], wedges[1::2], strict=True):
        assert set(above[:, 1]) == {top}
        assert set(beside[:, 0]) == {right}
        np.testing.assert_array_equal(above[:, 0], beside[:, 1])
    places = [list(above[:, 0]) for above in wedges[::2]]
    assert places[:2] == [[-0.5], [-0.25, 0.25]]
    assert places[2] == [-0.375, -0.125, 0.125, 0.375]
    assert {axis.get_xlabel() for axis in figure.axes[:2]} == {"cycles per pixel"}
    assert figure.axes[0].get_ylabel() == "cycles per pixel"
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "1/2 cycle per pixel"
    plt.close(figure)


def test_phase_maps_lose_their_mean_only():
    values = np.arange(16.0).reshape(4, 4, 1)
    figure = patterns.phase_means(runs_with(residual_phase_means=values))
    shown = figure.axes[1].get_images()[0].get_array()
    np.testing.assert_allclose(shown, 255 * (values[..., 0] - 7.5))
    # Var 0..15 is 21.25
    assert "RMS 1200 of 255" in figure.axes[1].get_title()
    assert "grey levels of 255" in figure.axes[2].get_ylabel()
    plt.close(figure)


def test_gallery_has_the_inputs_and_a_row_a_run():
    images = np.zeros((3, 4, 4, 1))
    names = ("gallery_input", "gallery_output", "gallery_ripple")
    figure = patterns.gallery(runs_with(**dict.fromkeys(names, images)))
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == ["input", "one", "two"]
    ripple = figure.axes[3].get_images()[0].get_array()
    assert ripple.shape == (4, 3 * 5 - 1)
    assert set(np.unique(ripple)) == {0.5, 1}  # no ripple is grey, gaps are white
    (scale,) = figure.axes[1].texts
    assert scale.get_text().startswith("ripple, grey levels of\n255: black −0.2")
    plt.close(figure)


def test_strips_put_white_between_pictures():
    images = np.arange(2 * 14 * 3 * 1).reshape(2, 14, 3, 1) / 100
    beside = style.strip(images)
    assert beside.shape == (14, 7, 1)
    np.testing.assert_array_equal(beside[:, 4:], images[1])
    assert (beside[:, 3] == 1).all()
    below = style.strip(images, down=True)
    assert below.shape == (29, 3, 1)
    np.testing.assert_array_equal(below[:14], images[0])
    np.testing.assert_array_equal(below[15:], images[1])


def test_runs_without_patterns_have_no_figures():
    for draw in (patterns.spectra, patterns.phase_means, patterns.gallery):
        assert draw(runs_with()) is None


def test_table_gives_means_and_ranges():
    header, lines = tables.sweep_table(sweep([*ROWS, {"status": "failed"}]))
    assert header == [*FIELDS[:3], "seeds", "PSNR (dB)"]
    assert lines[0] == ["2", "deconv_k3", "0.1", "2", "2.50 [2.00, 3.00]"]
    assert len(lines) == 12
    assert tables.to_markdown(["a"], [["b"]]) == "| a |\n| --- |\n| b |\n"


def test_table_of_values_that_round_to_zero_or_do_not_differ():
    rows = [row(2, "nearest_k3", 0.1, seed, psnr=7) for seed in (0, 1)]
    for seed, line in enumerate(rows):
        line |= {"test/lattice_peak_db_s2": -0.004 + 0.002 * seed, "params": 1234}
    measures = ("test/psnr", "test/lattice_peak_db_s2", "test/ssim")
    header, lines = tables.sweep_table(sweep(rows), measures)
    assert header[3:] == ["seeds", "PSNR (dB)", "peak s2 (dB)"]
    assert lines == [["2", "nearest_k3", "0.1", "2", "7.00", "0.00"]]


def test_runs_that_failed_are_in_the_table_of_runs():
    failed = {"run_id": "b", "status": "failed"}
    failed |= dict(zip(FIELDS, (2, "x", 0.1, 3), strict=True))
    done = row(2, "nearest_k3", 0.1, 0, psnr=9.876) | {"run_id": "a"}
    header, lines = tables.runs_table(sweep([done, failed]))
    assert header == [*FIELDS, "status", "PSNR (dB)", "run"]
    assert lines == [
        ["2", "nearest_k3", "0.1", "0", "done", "9.88", "a"],
        ["2", "x", "0.1", "3", "failed", "", "b"],
    ]


def test_latex_tables_escape_and_align():
    header = ["model.upsampling", "PSNR (dB)", "more", "50 %"]
    lines = [
        ["deconv_k3", "-1.50 [-2.00, -1.00]", "+0.02 [-0.01, +0.05]", ""],
        ["[8, 16]", "8,425", "-0.1", "a-1"],
    ]
    assert tables.to_latex(header, lines).splitlines()[2:] == [
        r"\begin{tabular}{@{}lrrl@{}}",
        r"\toprule",
        r"upsampling & PSNR (dB) & more & 50 \% \\",
        r"\midrule",
        r"deconv\_k3 & $-$1.50 [$-$2.00, $-$1.00] & +0.02 [$-$0.01, +0.05] &  \\",
        r"{}[8, 16] & 8,425 & $-$0.1 & a-1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    "cell",
    ["8,425", "-1.50", "+0.02 [-0.01, +0.05]", ".5", "1e-3", "2.50 [2.00, 3.00]"],
)
def test_the_page_sorts_by_what_is_a_number(cell):
    script = Path(tables.__file__).with_name("page.js").read_text()
    number = re.search("const NUMBER = /(.*)/i;", script)[1]
    assert re.fullmatch(number, cell, re.IGNORECASE)
    assert not re.fullmatch(number, f"{cell} dB", re.IGNORECASE)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs LaTeX")
def test_latex_table_of_two_axes_fits_two_columns_of_a_paper(tmp_path):
    rows = [row(None, "shuffle_icnr", 0.25, s, psnr=20 + s) for s in (0, 1)]
    for seed, line in enumerate(rows):
        line |= {"test/ssim": 0.8 + seed / 10, "params": 79_049}
        line |= {f"test/dc_ripple_db_s{s}": -199 + seed for s in (2, 8)}
    swept = SweepFiles({}, FIELDS[1:], rows, {})
    header, lines = tables.sweep_table(swept, tables.PAPER)
    document = [
        r"\documentclass[twocolumn]{article}\usepackage{booktabs}",
        r"\usepackage[letterpaper,margin=0.75in]{geometry}\begin{document}",
        r"\begin{table*}\footnotesize\setlength{\tabcolsep}{3pt}",
        tables.to_latex(header, lines),
        r"\end{table*}\end{document}",
    ]
    (tmp_path / "paper.tex").write_text("\n".join(document))
    command = ["pdflatex", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_swept_names_may_be_empty_and_run_ids_stay_text(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"sweep": {"data": {"field": ["data.source", "data.name"], "values": []}}}'
    )
    (tmp_path / "results.csv").write_text(
        "run_id,data.source,data.name,seed,status,test/psnr\n12e4567890,glyphs,,3,failed,\n"
    )
    files = read_sweep(tmp_path)
    assert files.fields == ["data.source", "data.name"]
    assert files.rows == [
        {
            "run_id": "12e4567890",
            "data.source": "glyphs",
            "data.name": "",
            "seed": 3,
            "status": "failed",
        }
    ]
    with pytest.raises(CaejaxError, match=r"no run of .* is finished.*results\.csv"):
        report(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, r"config\.json is missing.*finish the run by `caejax run`"),
        ({"config.json": "{"}, r"config\.json is damaged"),
        ({"config.json": "{}"}, r"samples\.npz is missing"),
        ({"config.json": '{"sweep": {"a": {"field": "seed"}}}'}, r"results\.csv is"),
    ],
)
def test_unfinished_folders_are_named(tmp_path, files, words):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CaejaxError, match=words) as error:
        report(tmp_path)
    assert "\n" not in str(error.value)
