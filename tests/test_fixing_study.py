"""The study of fixing: its tables and figure, from its rows alone."""

from caejax.files.csv_files import write_csv
from experiments.fixing import figures, study, tables


def _row(kind, seed, *, tied):
    further = {
        "tied_psnr": 21.5 + seed,
        "tied_ripple_db": -140.0,
        "untied_psnr": 21.0 + 0.8 * seed,
        "untied_ripple_grey": 2.0 + seed,
    }
    return {
        "kind": kind,
        "seed": seed,
        "psnr": 21.0,
        "mended_psnr": 12.0 + 2 * seed,
        "ripple_db": -20.0,
        "mended_ripple_db": -130.0 - seed,
        "ripple_grey": 3.0,
        "mended_ripple_grey": 0.0,
        **(further if tied else dict.fromkeys(further)),
    }


def test_tables_by_hand():
    """Of two seeds t is 12.706, so that an interval is 12.706 halves of the range."""
    rows = [_row("deconv_k4", n, tied=True) for n in range(2)]
    rows += [_row("deconv_k2", n, tied=False) for n in range(2)]
    text = tables.write(rows)
    assert "| deconv_k4 | 2 | 21.00 [21.00, 21.00] | -8.00 [-20.71, +4.71] |" in text
    # 0.5 and 0.7: the mean of 0.6, and 12.706 * 0.1 to both sides
    assert "+0.600 [-0.671, +1.871]" in text
    assert "2.50 [2.00, 3.00]" in text
    assert "-130.5 [-131.0, -130.0]" in text
    assert "| deconv_k2 | 2 | 21.00 [21.00, 21.00] | -8.00 [-20.71, +4.71] |  |" in text


def test_the_figure_says_its_setting_and_its_legend_is_as_drawn():
    rows = [_row("deconv_k4", n, tied=True) for n in range(2)]
    rows += [_row("deconv_k2", n, tied=False) for n in range(2)]
    drawn = figures.figure(rows, study._setting(trial=False))
    said = drawn.get_suptitle()
    assert "MNIST, 12,000 images, gaussian noise 0.3, 6 epochs" in said
    assert said.endswith("2 seeds of each kind")
    looks = {
        (line.get_marker(), line.get_markerfacecolor())
        for axis in drawn.axes
        for line in axis.lines
        if line.get_marker() in set("oDs^")
    }
    (legend,) = drawn.legends
    shown = {(x.get_marker(), x.get_markerfacecolor()) for x in legend.get_lines()}
    assert looks <= shown


def test_nothing_is_trained_where_no_row_is_missing(tmp_path, capsys):
    words = [f"--out={tmp_path}", f"--runs={tmp_path / 'runs'}"]
    assert study.main(words) == 1
    assert "lacks 35 of 35 models; give --data=DIR" in capsys.readouterr().err
    rows = [
        _row(kind, seed, tied=kind in ("deconv_k4", "shuffle_k3", "shuffle_icnr"))
        for kind in study.KINDS
        for seed in range(study.SEEDS)
    ]
    write_csv(tmp_path / "results.csv", rows)
    assert study.main(words) == 0
    assert {x.name for x in tmp_path.iterdir()} == {
        *("results.csv", "results.md", "fixing.png"),
    }
