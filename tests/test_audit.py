"""The audit of published architectures: its tables, and that it goes on."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection

from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv
from experiments.audit import architectures, figures, records, study, tables, trained
from experiments.audit.architectures import Architecture


def _place(operation="ConvTranspose2d", stride=(2.0, 2.0), kernel=(3, 3), **other):
    return {
        "name": "up",
        "operation": operation,
        "stride": list(stride),
        "kernel": list(kernel),
        "gain_spread_db": -20.0,
        "overlap_db": 6.0,
        "ripple_db": -30.0,
        "share": 1.0,
        "clean": False,
        "cure": "a resize",
        **other,
    }


def _found(*places, ripple=-30.0):
    return {
        "places": list(places),
        "clean": ripple <= -60,
        "ripple_db": ripple,
        "period": [2, 2],
        "about": [],
    }


_RESIZE = _place("interpolate (nearest2d) + Conv2d", gain_spread_db=None, clean=True)
_SHUFFLE = _place("Conv2d + pixel_shuffle", gain_spread_db=-140.0)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (_place(), "transposed"),
        (_place("ConvTranspose2d + fixed blur"), "transposed"),
        (_RESIZE, "resize"),
        (_place("pixel_shuffle (nearest)", gain_spread_db=None), "resize"),
        (_place("Resize (nearest, asymmetric) + Conv", gain_spread_db=None), "resize"),
        (_SHUFFLE, "to pixels"),
        (_place("reshape", gain_spread_db=None), "other"),
    ],
)
def test_kinds_of_places(place, kind):
    assert records.kind(place) == kind


def test_kernels_and_strides_are_paired_along_each_axis():
    assert not records.paired(_place())
    assert records.paired(_place(kernel=(3, 4), stride=(1.0, 2.0)))
    assert not records.paired(_place(kernel=(4, 3)))


def test_wilson_by_hand():
    # 3 of 4, z = 1.96: centre (0.75 + z^2 / 8) / (1 + z^2 / 4), by its formula
    assert tables.wilson(3, 4) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert tables.share(3, 4) == "3 of 4: 75 % [30, 95]"
    assert tables.share(0, 0) == "0 of 0"


def test_all_architectures_are_known_without_their_packages():
    known = list(architectures.every())
    names = [x.name for x in known]
    assert len(set(names)) == len(names) >= 30
    assert all("," not in name for name in names)
    found = architectures.named("DAC,BasicUNet")
    assert [x.name for x in found] == ["BasicUNet", "DAC"]


def _diagnose(one, seed):
    if one.name == "broken":
        raise RuntimeError("no such layer\nand more")
    made = {
        "sub-pixel": [_SHUFFLE, _RESIZE],
        "resizing": [_RESIZE],
        "deconvolution": [_place(), _place(kernel=(4, 4))],
    }[one.name]
    ripple = -150.0 if one.name == "resizing" else -30.0 - seed
    return _found(*made, ripple=ripple), {"up"}


def _names(*names):
    return [Architecture("package", "family", name, lambda: None) for name in names]


def test_rows_counts_and_failures(tmp_path):
    chosen = _names("sub-pixel", "resizing", "deconvolution", "broken")
    study.run(chosen, tmp_path, _diagnose)
    rows = {x["architecture"]: x for x in study._read(tmp_path / "results.csv")}
    places = study._read(tmp_path / "places.csv")
    assert rows["broken"]["why"] == "RuntimeError: no such layer"
    assert rows["sub-pixel"]["ripple_db"] == -31
    assert rows["sub-pixel"]["by_construction"] == "no"
    assert rows["resizing"]["by_construction"] == "yes"
    # t of 2 degrees of freedom is 4.303; the standard error 1 / sqrt(3)
    assert rows["sub-pixel"]["ripple_db_low"] == pytest.approx(-33.48, abs=0.01)
    counted = tables.questions(list(rows.values()), places)
    assert counted["architectures that enlarge"] == (3, 3)
    assert counted["of these, by more than resizes"] == (2, 3)
    assert counted["transposed: places whose stride divides the kernel"] == (1, 2)
    assert counted["to pixels: places that start with equal gains (ICNR)"] == (1, 1)
    text = (tmp_path / "results.md").read_text()
    assert "1 of 2: 50 %" in text
    assert "no such layer" in text


def test_what_was_not_probed_is_counted_apart():
    """By kernels it is said of; of its pattern nothing is."""
    row = {"package": "p", "family": "f", "status": "ok", "seeds": 3, "places": 1}
    row |= {"period": "2", "ripple_db_low": "", "ripple_db_high": "", "clean_seeds": 0}
    row |= dict.fromkeys(records.KINDS, 0)
    rows = [
        row | {"architecture": "a", "by_construction": "no", "transposed": 1,
               "ripple_db": ""},
        row | {"architecture": "b", "by_construction": "no", "transposed": 1,
               "ripple_db": -20.0},
        row | {"architecture": "c", "by_construction": "yes", "resize": 1,
               "ripple_db": "", "clean_seeds": 3},
        row | {"architecture": "d", "by_construction": "no", "other": 1,
               "ripple_db": "", "clean_seeds": 3},
    ]  # fmt: skip
    _, ((*_, construction, left, drawn),) = tables.by_family(rows)
    assert construction.startswith("1 of 4")
    assert (left, drawn) == ("2", "1 of 1: 100 % [21, 100]")
    seeds = [line[-1] for line in tables.each(rows)[1]]
    assert seeds == ["0 of 3, by kernels", "0 of 3", "by construction", "not known"]


def test_rows_that_are_there_are_kept(tmp_path):
    study.run(_names("sub-pixel"), tmp_path, _diagnose)
    before = (tmp_path / "results.csv").read_text()

    def only_new(one, seed):
        assert one.name == "resizing"
        return _diagnose(one, seed)

    study.run(_names("sub-pixel", "resizing"), tmp_path, only_new)
    after = (tmp_path / "results.csv").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 3


def test_the_figure_is_drawn_of_what_was_probed(tmp_path):
    """A mark an architecture, of the place that can draw; of none probed no figure."""
    study.run(_names("sub-pixel", "resizing", "broken"), tmp_path, _diagnose)
    assert (tmp_path / "audit.png").exists()
    rows = study._read(tmp_path / "results.csv")
    assert [figures.how(row) for row in rows[:2]] == ["to pixels", "resize"]
    (axis,) = figures.figure(rows).axes
    marks = [line for line in axis.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in marks] == [-31, -150]
    ends = rows[0]["ripple_db_low"], rows[0]["ripple_db_high"]
    np.testing.assert_allclose(_intervals(axis)[0][:, 0], ends)
    assert "2 published architectures" in axis.figure.get_suptitle()
    (tmp_path / "audit.png").unlink()
    figures.draw(rows[2:], tmp_path)
    assert not (tmp_path / "audit.png").exists()


def _intervals(axis):
    """The lines of intervals, (2, 2) each."""
    lines = [x for x in axis.collections if isinstance(x, LineCollection)]
    return [line.get_segments()[0] for line in lines]


def test_intervals_beyond_the_axis_end_in_arrows_and_the_unexpected_has_its_name():
    row = {"family": "f", "status": "ok", "seeds": 3, "not_flat": "no"}
    row |= dict.fromkeys(records.KINDS, 0)
    far = {"ripple_db": -77.0, "ripple_db_low": -342.0, "ripple_db_high": 187.0}
    near = {"ripple_db": -9.0, "ripple_db_low": -19.0, "ripple_db_high": 1.0}
    (axis,) = figures.figure(
        [
            row | far | {"architecture": "far", "transposed": 1},
            row | near | {"architecture": "near", "transposed": 1},
            row | far | {"architecture": "resizing", "resize": 1},
        ]
    ).axes
    left, right = axis.get_xlim()
    for ends in _intervals(axis):
        assert left < ends[0, 0] < ends[1, 0] < right
    arrows = [x for x in axis.collections if isinstance(x, PathCollection)]
    assert [x.get_offsets()[0, 0] for x in arrows] == [-200, 42] * 2
    assert "far" in {text.get_text() for text in axis.texts}
    assert not {"near", "resizing"} & {text.get_text() for text in axis.texts}


def test_patterns_of_trained_networks_by_hand():
    image = np.zeros((4, 6, 3))
    image[::2, ::2] = 1  # phases of means 1, 0, 0, 0
    assert trained._pattern(image) == pytest.approx(np.sqrt(3) / 4)
    assert trained._pattern(np.ones((4, 6, 3))) == 0


def test_trained_networks_that_are_missing_are_named(tmp_path):
    one = next(iter(trained.networks()))
    with pytest.raises(CaejaxError, match=r"upconv7.*trained\.txt"):
        trained.measured(one, tmp_path, None)
    with pytest.raises(CaejaxError, match="has no 50 photographs"):
        trained._photographs(tmp_path)


def test_tables_of_trained_networks_are_those_of_the_rows():
    rows = read_csv(trained.HERE / "trained.csv")
    assert (trained.HERE / "trained.md").read_text() == trained.tables(rows)
    assert [row["network"] for row in rows] == [x.name for x in trained.networks()]


def test_waifu2x_in_pytorch(torch, tmp_path):
    """Sizes, names of weights, and how Chainer starts them."""
    from experiments.audit import waifu2x

    for network, less in ("upconv7", 28), ("upresnet10", 52):
        module = waifu2x.untrained(network, 0)
        x = torch.rand(1, 3, 40, 36)
        assert module(x).shape == (1, 3, 80 - less, 72 - less)
        state = {
            name.replace(".", "/").replace("weight", "W").replace("bias", "b"): x
            for name, x in module.state_dict().items()
        }
        np.savez(tmp_path / "a.npz", **state)
        again = waifu2x.trained(network, tmp_path / "a.npz")
        assert torch.equal(again(x), module(x))
        for name, values in module.named_parameters():
            if name.endswith("weight"):
                spread = values[0].numel() ** -0.5
                assert values.std().item() == pytest.approx(spread, rel=0.3)
