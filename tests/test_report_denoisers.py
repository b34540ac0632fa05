"""The figure of a sweep's decoders beside references."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.config import default
from caejax.config.ids import setting_id
from caejax.files.finished import reference_samples
from caejax.report import captions, denoisers, read
from caejax.report.read import RunFiles, SweepFiles

FIELDS = ["model.upsampling", "seed"]
DECODERS = ("deconv_k3", "nearest_k3")
CONFIG = default().to_dict()
SETTING = setting_id(CONFIG)
FLATS = [np.full((8, 8, 1), grey) for grey in (0.0, 0.25, 0.5, 0.75, 1.0)]
GALLERY = np.float32([*FLATS, np.eye(8)[..., None]])
BOARD = np.float32(0.02 * (-1) ** np.indices((8, 8)).sum(0))[..., None]
IMAGES = np.linspace(0, 1, 5 * 8 * 6, dtype=np.float32).reshape(5, 8, 6, 1)


def sweep(**references):
    """A sweep over two decoders whose references gave so many dB, or no pictures."""
    rows, runs = [], {}
    for i, name in enumerate(DECODERS):
        row = {"run_id": str(i), "status": "done", "seed": 0, "test/psnr": 20.0 + i}
        rows.append(row | {"model.upsampling": name})
        samples = dict.fromkeys(("target", "input", "output", "flat"), IMAGES)
        samples |= {"gallery_input": GALLERY, "gallery_output": GALLERY + i * BOARD}
        summary = {"test/psnr": 20.0 + i, "test/psnr_noisy": 9.96}
        runs[str(i)] = RunFiles(CONFIG, summary, [], samples)
    found = [
        {"reference": name, "setting": SETTING, "test/psnr": value}
        for name, value in references.items()
    ]
    return SweepFiles({}, FIELDS, rows, runs, found)


def test_columns_are_in_order_and_say_what_they_reach():
    found = sweep(pca=17.04, median=15.0, input=10.0, nlm=16.0)
    shown = {(SETTING, "pca"): IMAGES, (SETTING, "median"): IMAGES}
    shown |= {("another", "nlm"): IMAGES, (SETTING, "nlm"): IMAGES[:2]}
    figure = denoisers.denoisers(found._replace(reference_samples=shown))
    top = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert top == [
        "target",
        "input\n10.0 dB",
        "median\n15.0 dB",
        "pca\n17.0 dB",
        "deconv_k3\n20.0 dB",
        "nearest_k3\n21.0 dB",
    ]
    below = [axis.get_xlabel() for axis in figure.axes if axis.get_xlabel()]
    assert below == ["pattern: RMS\n0.0 of 255", "pattern: RMS\n5.1 of 255"]
    (why,) = [text for axis in figure.axes for text in axis.texts if text.get_text()]
    assert "other denoisers do not upsample" in why.get_text().replace("\n", " ")
    assert "seed 0" in figure.get_suptitle()
    assert "means" not in figure.get_suptitle()
    plt.close(figure)


def test_grey_levels_have_the_digits_that_machines_agree_in():
    """Of one training, on one core and on two: 13.2 and 13.3."""
    assert [denoisers.grey_levels(x) for x in (0, 9.84, 9.96, 13.2, 13.3)] == [
        *("0.0", "9.8", "10", "13", "13"),
    ]


def test_the_picture_and_the_psnr_of_pca_are_of_one_code():
    """Of the largest, in whichever order a sweep has its codes."""
    found = sweep(pca=17.04)
    sizes = [found.references[0] | {"latent_size": 64}]
    sizes += [sizes[0] | {"latent_size": 8, "test/psnr": 12.0}]
    found = found._replace(
        references=sizes, reference_samples={(SETTING, "pca"): IMAGES}
    )
    figure = denoisers.denoisers(found)
    assert "pca\n17.0 dB" in [axis.get_title() for axis in figure.axes]
    plt.close(figure)


def test_without_references_there_is_no_figure():
    assert denoisers.denoisers(sweep()) is None
    assert denoisers.denoisers(sweep(pca=17.0)) is None


def test_captions_say_by_what_figures_rank_and_why_orders_differ():
    """The second decoder is ahead in PSNR, the first draws less on flat grey."""
    found = sweep(pca=17.0)
    said = captions.captions_of_sweep(found)["denoisers"]
    assert "Best first by PSNR in dB: nearest_k3 21.00, deconv_k3 20.00." in said
    assert "by the pattern on flat grey: deconv_k3 0.0, nearest_k3 5.1." in said
    assert "The two orders differ, as PSNR counts all errors" in said
    assert "All at glyphs" in said


def test_captions_are_short():
    assert max(len(text.split()) for text in captions.CAPTIONS.values()) <= 75


def test_captions_of_checkerboards_compare_what_is_drawn():
    found = sweep(pca=17.0)

    def said_of(*drawn):
        runs = {
            name: run._replace(summary=run.summary | {"test/dc_ripple_db_s8": ripple})
            for (name, run), ripple in zip(found.runs.items(), drawn, strict=True)
        }
        return captions.captions_of_sweep(found._replace(runs=runs))["checkerboard"]

    said = said_of(-40.0, -20.0)
    assert "Best first by their ripple: deconv_k3 2.6, nearest_k3 26." in said
    assert "By PSNR the order is another one" in said
    assert "On a flat grey" not in said
    said = said_of(-20.0, -140.0)
    assert "nearest_k3 0, deconv_k3 26." in said
    assert "By PSNR" not in said
    assert "On a flat grey image the order is another one: that goes through" in said


def test_captions_of_several_seeds_say_that_one_is_shown():
    found = sweep(pca=17.0)
    more = [row | {"seed": 1, "run_id": f"{i + 2}"} for i, row in enumerate(found.rows)]
    runs = found.runs | {str(i + 2): found.runs[str(i)] for i in range(2)}
    many = found._replace(rows=[*found.rows, *more], runs=runs)
    for files, seeds in ((found, 1), (many, 2)):
        said = captions.captions_of_sweep(files)
        for name in ("denoisers", "checkerboard"):
            assert ("so that means over seeds may rank" in said[name]) == (seeds > 1)
            assert ("One run a decoder at glyphs" in said[name]) == (seeds > 1)
        assert ("means over the runs" in said["dc_ripple_steps"]) == (seeds > 1)
        assert ("Means over seeds" in captions.averaged(files)) == (seeds > 1)
        pictures = {(SETTING, "pca"): IMAGES}
        figure = denoisers.denoisers(files._replace(reference_samples=pictures))
        assert ("tables have the means" in figure.get_suptitle()) == (seeds > 1)
        plt.close(figure)


def test_captions_of_runs_tell_only_of_what_is_drawn():
    """Dense models have no ripple."""
    (run, _) = sweep().runs.values()
    assert "ripple that the decoder" in captions.captions_of_run(run)["reconstructions"]
    rows = [{"split": "val", "step": 1, "psnr": 20.0}]
    dense = run._replace(samples={"target": IMAGES}, rows=rows)
    said = captions.captions_of_run(dense)
    assert "ripple" not in said["reconstructions"] + said["curves"]
    probed = dense._replace(rows=[rows[0] | {"dc_ripple_db_s2": -30.0}])
    assert "And the DC ripple: what" in captions.captions_of_run(probed)["curves"]


def test_the_part_with_most_in_it_is_enlarged():
    image = np.zeros((8, 6, 3))
    image[3, 4] = 1.0
    image[6, 5] = 0.5
    for shown in (image, 1 - image):  # on black, and on white
        rows, columns = denoisers._fullest(shown)
        assert (rows, columns) == (slice(3, 7), slice(3, 6))


def test_a_light_grey_and_a_ramp_are_found_among_colours():
    assert denoisers._plain(GALLERY) == [3, 5]
    colours = np.float32([(1, 0, 0), (0.5, 0.5, 0.5), (0.75, 0.75, 0.7), (0, 0, 0)])
    flat = np.broadcast_to(colours[:, None, None], (4, 8, 8, 3))
    ramps = np.repeat(GALLERY[5:], 3, axis=-1)
    assert denoisers._plain(np.concatenate([flat, ramps])) == [1, 4]


@pytest.mark.parametrize("size", [None, 32])
def test_pictures_of_references_are_read_or_left_out(size, tmp_path):
    row = {"reference": "pca", "setting": "abc", "latent_size": size}
    row |= {"images": 5, "test_images": 5}
    path = reference_samples(tmp_path, row)
    path.parent.mkdir(parents=True)
    np.savez(path, output=IMAGES)
    # What was given a part, later, has no PSNR of the test split.
    assert read._read_reference_samples(tmp_path, [row | {"images": 3}]) == {}
    (found,) = read._read_reference_samples(tmp_path, [row]).items()
    assert found[0] == ("abc", "pca")
    np.testing.assert_array_equal(found[1], IMAGES)
    for damage in (path.read_bytes()[:90], b"", b"no archive"):
        path.write_bytes(damage)
        assert read._read_reference_samples(tmp_path, [row]) == {}
    path.unlink()
    assert read._read_reference_samples(tmp_path, [row]) == {}
