"""Tests of the study in experiments/denoiser, on rows made by hand."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from caejax.data.bsds500 import CBSD68
from caejax.errors import CaejaxError
from caejax.files.csv_files import write_csv
from caejax.inference import trained
from experiments.denoiser import between, elsewhere, failures
from experiments.denoiser.measure import FEWEST, LEVELS, Photograph, noisy, psnr, table
from experiments.denoiser.ship import figures

NUMBERS = [int(name) for name in CBSD68]


def rows_of(estimator, values, kind="color"):
    """A row for each of the values, by image, and each level."""
    return [
        {
            "kind": kind,
            "level": level,
            "estimator": estimator,
            "image": number,
            "psnr": float(value) + level,
        }
        for number, value in zip(NUMBERS, values, strict=False)
        for level in LEVELS
    ]


def cells(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()[2:]
    ]


def test_bm3d_on_some_images_alone_is_compared_on_these():
    """Means are of all images or not there; differences are of what both have."""
    ours = np.linspace(20, 30, len(NUMBERS))
    rows = rows_of("noisy", np.full(len(NUMBERS), 5)) + rows_of("caejax", ours)
    few = ours[:FEWEST] - np.tile([0.1, 0.3], FEWEST // 2)
    found = {line[1]: line[2:] for line in cells(table(rows + rows_of("BM3D", few)))}
    assert found["caejax"] == [f"{25 + level:.3f}" for level in LEVELS]
    assert found["BM3D"] == ["–"] * len(LEVELS)
    (name,) = [name for name in found if "paired" in name]
    assert name == f"caejax - BM3D, paired of {FEWEST} images [95 %]"
    assert all(cell.startswith("0.200 [") for cell in found[name])
    found = cells(table(rows + rows_of("BM3D", few[:-1])))
    assert not any("paired" in line[1] for line in found)
    ten = [row for row in rows_of("BM3D", few) if row["level"] != 35]
    found = {line[1]: line[2:] for line in cells(table(rows + ten))}
    at = dict(zip(LEVELS, found[name], strict=True))
    assert [level for level in LEVELS if at[level] == "–"] == [35]


def test_only_what_all_images_were_measured_with_ships():
    rows = rows_of("noisy", np.full(len(NUMBERS), 5)) + rows_of("caejax", NUMBERS[:67])
    with pytest.raises(CaejaxError, match="67 of 68 images of caejax in color at 10"):
        figures(rows, "color")
    rows = rows_of("noisy", np.full(68, 5)) + rows_of("caejax", np.full(68, 7))
    wanted = {"noisy": 5, "caejax": 7}
    some = rows + rows_of("BM3D", np.full(20, 6))
    assert figures(some, "color") == {
        name: {str(level): value + level for level in LEVELS}
        for name, value in wanted.items()
    }
    assert "BM3D" in figures(rows + rows_of("BM3D", np.full(68, 6)), "color")


def test_noise_is_of_the_image_and_the_level_alone():
    one = Photograph("3096", np.full((400, 500, 1), 0.5))
    noise = noisy(one, 25) - one.clean
    assert noise.std() == pytest.approx(25 / 255, rel=0.01)
    np.testing.assert_array_equal(noisy(one, 25), noisy(one, 25))
    other = noisy(one._replace(name="8023"), 25) - one.clean
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.02
    assert psnr(one.clean + 0.1, one.clean) == pytest.approx(20)


def test_other_photographs_are_compared_each_with_itself():
    rows = [
        {"kind": "color", "form": form, "image": image, "level": level}
        | {"estimator": estimator, "psnr": psnr}
        for form in elsewhere.FORMS
        for level in LEVELS
        for image, found in (("a", (30.0, 31.0)), ("b", (20.0, 20.5)))
        for estimator, psnr in zip(("caejax", "BM3D"), found, strict=True)
    ]
    lines = elsewhere.table(rows).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["whole", "halved"]
    # t(1) at 97.5 % is 12.7062, times 0.25.
    assert lines[0].count("-0.75 [-3.93, 2.43]") == len(LEVELS)
    # Of a kind that is not measured at all levels nothing is said.
    assert elsewhere.table(rows[4:]).count("color") == 1


def test_halved_photographs_are_whole_grey_levels():
    whole, halved = (
        elsewhere.photograph("chelsea.png", form, "gray") for form in elsewhere.FORMS
    )
    assert whole.shape == (256, 256, 1)
    assert halved.shape == (150, 225, 1)
    np.testing.assert_allclose(255 * halved, np.round(255 * halved), atol=1e-9)


def test_between_weights_are_of_both():
    first, second = (trained.find(f"denoiser_{kind}") for kind in ("gray", "color"))
    with pytest.raises(CaejaxError, match="same parameters"):
        between.between(first, second, 0.5)
    other = first._replace(params=jax.tree.map(lambda x: 3 * x, first.params))
    for share in between.SHARES:
        found = between.between(first, other, share).params
        jax.tree.map(
            lambda x, y, times=1 + 2 * share: np.testing.assert_allclose(
                x, times * y, rtol=1e-6
            ),
            found,
            first.params,
        )


def test_forms_of_photographs_that_validate():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    whole = between.in_form(image, "whole", 0)
    np.testing.assert_array_equal(255 * whole, image[22:278, 72:328])
    assert between.in_form(image, "halved", 0).shape == (150, 200, 3)
    ones = [between.in_form(image, "recolored", number) for number in (0, 0, 1)]
    np.testing.assert_array_equal(ones[0], ones[1])
    assert np.abs(ones[0] - ones[2]).mean() > 0.01
    assert np.abs(ones[0] - whole).mean() > 0.01


@pytest.mark.parametrize(("kind", "channels"), [("color", 3), ("gray", 1)])
def test_each_share_is_measured_once(kind, channels, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    part = SimpleNamespace(images=images)
    monkeypatch.setattr(between.bsds500, "load", lambda **_: (None, part, None))

    def of_model(model):
        def denoise(image, _):
            assert image.shape[-1] == channels
            return model * image

        return denoise

    monkeypatch.setattr(between, "of_model", of_model)
    forms = between.FORMS if kind == "color" else ("whole", "halved")
    models = {0.0: 1.0, 0.25: 0.9}
    for _ in range(2):
        rows = between.kept(tmp_path)
        between.measure(rows, models, tmp_path, tmp_path, kind)
        assert {row["form"] for row in rows} == {*forms}
        assert len(rows) == len(models) * len(forms) * 2 * len(between.LEVELS)
        assert between.table(rows) == between.table(between.kept(tmp_path))


def test_shares_are_compared_with_the_first_image_by_image(tmp_path):
    rows = [
        {"share": share, "form": form, "image": image, "level": level}
        | {"psnr": 30.0 + level + 10 * image + share * (1 + image)}
        for share in (0.0, 1.0)
        for form in between.FORMS
        for image in (0, 1)
        for level in between.LEVELS
    ]
    write_csv(tmp_path / "between.csv", rows)
    assert between.kept(tmp_path) == rows
    lines = cells(between.table(between.kept(tmp_path)))
    assert [line[:2] for line in lines] == [
        [form, share] for form in between.FORMS for share in "01"
    ]
    assert lines[0][2:] == [f"{35 + level:.3f} dB" for level in between.LEVELS]
    # t(1) at 97.5 % is 12.7062, times 0.5.
    assert lines[1][2:] == ["1.500 [-4.853, 7.853]"] * len(between.LEVELS)


def test_failures_have_the_letters_and_pixels_of_other_figures(tmp_path, monkeypatch):
    image = np.random.default_rng(0).random((120, 120, 1))
    given = failures.Failure("noise of 50", image, 0.9 * image)
    monkeypatch.setattr(failures, "photographs", lambda *_: [])
    monkeypatch.setattr(failures, "find", lambda *_: [given])
    monkeypatch.setattr(failures, "of_run", lambda _: lambda image, level: image)
    path = tmp_path / "failures.png"
    failures.draw("gray", tmp_path / "model.safetensors", tmp_path, [], path)
    with Image.open(path) as drawn:
        assert drawn.width == 1350  # at 200 pixels an inch
