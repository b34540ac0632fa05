import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.errors import CaejaxError
from caejax.report import figures, patterns, style, tables
from caejax.report.read import RunFiles, SweepFiles, read_sweep
from caejax.report.report import report

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
    line = figure.axes[0].get_lines()[0]
    assert list(line.get_xdata()) == [2, 8, 16]
    assert list(line.get_ydata()) == [2.5, 8.5, 16.5]
    plt.close(figure)


def test_runs_without_a_measure_are_left_out_of_its_panel():
    rows = [*ROWS, row(2, "nearest_k3", 0.9, 0, 1.0, **{"test/dc_ripple_db_s2": -9.0})]
    figure = figures.against(sweep(rows), "corruption.level")
    assert len(figure.axes) == 2 * 3
    plt.close(figure)


def test_numeric_fields_leave_out_names_and_seeds():
    fields = figures.numeric_fields(sweep(ROWS))
    assert fields == ["model.latent_channels", "corruption.level"]


def test_fourteen_series_look_different():
    assert len({tuple(style.series_style(i).items()) for i in range(14)}) == 14


def runs_with(**arrays):
    return {name: RunFiles({}, {}, [], arrays) for name in ("one", "two")}


def test_rings_mark_what_each_period_adds():
    figure = patterns.spectra(runs_with(residual_spectrum=np.full((24, 16), 1 / 384)))
    rings = figure.axes[0].collections
    assert [len(r.get_offsets()) for r in rings] == [3, 12, 48]
    assert {tuple(xy) for xy in rings[0].get_offsets()} == {
        (-0.5, -0.5),
        (-0.5, 0),
        (0, -0.5),
    }
    # Each ring of period 2 lies in the middle of its pixel.
    left, right, bottom, top = figure.axes[0].get_images()[0].get_extent()
    assert (left, right) == pytest.approx((-0.5 - 1 / 32, 0.5 - 1 / 32))
    assert (top, bottom) == pytest.approx((-0.5 - 1 / 48, 0.5 - 1 / 48))
    plt.close(figure)


def test_phase_maps_lose_their_mean_only():
    values = np.arange(16.0).reshape(4, 4, 1)
    figure = patterns.phase_means(runs_with(residual_phase_means=values))
    shown = figure.axes[1].get_images()[0].get_array()
    np.testing.assert_allclose(shown, values[..., 0] - 7.5)
    assert "RMS 13 dBFS" in figure.axes[1].get_title()  # Var 0..15 is 21.25
    plt.close(figure)


def test_gallery_has_the_inputs_and_two_rows_a_run():
    images = np.zeros((3, 4, 4, 1))
    names = ("gallery_input", "gallery_output", "gallery_ripple")
    figure = patterns.gallery(runs_with(**dict.fromkeys(names, images)))
    rows = [axis.get_ylabel() for axis in figure.axes[::3]]
    assert rows == ["input", "one\noutput", "its ripple", "two\noutput", "its ripple"]
    plt.close(figure)


def test_runs_without_patterns_have_no_figures():
    for draw in (patterns.spectra, patterns.phase_means, patterns.gallery):
        assert draw(runs_with()) is None


def test_table_gives_means_and_ranges():
    header, lines = tables.sweep_table(sweep([*ROWS, {"status": "failed"}]))
    assert header == [*FIELDS[:3], "seeds", "PSNR (dB)"]
    assert lines[0] == ["2", "deconv_k3", "0.1", "2", "2.50 [2.00, 3.00]"]
    assert len(lines) == 12
    assert tables.to_markdown(["a"], [["b"]]) == "| a |\n| --- |\n| b |\n"


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
        ({}, r"config\.json is missing"),
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
