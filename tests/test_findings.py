from pathlib import Path

import numpy as np
import pytest

from caejax import __version__
from caejax.config.load import find_config
from caejax.report import (
    advice,
    again,
    below_input,
    evidence,
    explained,
    findings,
    judgement,
    leads,
    missing,
    words,
)
from caejax.report import fields as fields_lib
from caejax.report.citation import bibtex
from caejax.report.cost import costs
from caejax.report.intervals import ENOUGH, t_interval
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.references import with_references
from caejax.report.settings import setting_of, settings_of, several
from caejax.report.statistics import TOO_FEW, sign_flip_interval

DECODER, LEVEL = "model.upsampling", "corruption.level"
TV = {"reference": "tv", "images": 12, "test_images": 12}


def sweep(psnr, ripple=None, fields=(LEVEL, DECODER), noisy=None):
    """A sweep from PSNR by the fields' values, each a list over seeds."""
    rows = []
    for setting, values in psnr.items():
        for seed, value in enumerate(values):
            row = dict(zip(fields, setting, strict=True)) | {"seed": seed}
            row |= {"status": "done", leads.PSNR: value}
            if ripple:
                row[findings.RIPPLE] = ripple[setting[-1]]
            if noisy is not None:
                row[leads.INPUT] = noisy
            rows.append(row)
    return SweepFiles({}, [*fields, "seed"], rows, {})


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ([DECODER, "seed"], "Which upsampling should this decoder use?"),
        (
            ["model.latent_channels", DECODER, LEVEL],
            "Which upsampling should this decoder use, "
            "at each bottleneck and noise level?",
        ),
        (["loss", LEVEL], "Which loss reconstructs best, at each noise level?"),
        ([LEVEL], "Which noise level reconstructs best?"),
        (
            ["seed"],
            "How well does this model reconstruct, and how much is the seed's doing?",
        ),
    ],
)
def test_the_question_is_that_of_the_swept_fields(fields, asked):
    files = SweepFiles({}, fields, [{leads.PSNR: 1.0}], {})
    assert findings.question(files) == asked
    if DECODER in fields:
        files = files._replace(rows=[{findings.RIPPLE: -9.0}])
        tail = ", and how badly does it checkerboard?"
        assert findings.question(files) == asked[:-1] + tail


def test_fields_that_change_with_the_decoder_are_no_conditions():
    axis = {"field": [DECODER, "optimizer.learning_rate"], "values": []}
    config = {"sweep": {"a": axis, "b": {"field": LEVEL, "values": []}}}
    fields = [DECODER, "optimizer.learning_rate", LEVEL]
    found = fields_lib.choices_and_conditions(SweepFiles(config, fields, [], {}))
    assert found == (fields[:2], [LEVEL])


def test_leads_are_paired_by_seed():
    files = sweep({(0.1, "a"): [10.0, 12.0, 20.0], (0.1, "b"): [9.0, 12.5]})
    (lead,) = leads.leads(files)
    assert (lead.best, lead.second) == (("a",), ("b",))
    np.testing.assert_allclose(lead.differences, [1.0, -0.5])
    assert lead.interval is None
    assert lead.p == "n too small"
    header, lines = leads.leads_table(files)
    # A column of no p at all is left out.
    assert header == ["best", "PSNR (dB)", "runner-up", "lead (dB)", "seeds ahead"]
    assert lines == [["a", "14.00", "b", "0.25", "1 of 2"]]


def test_enough_seeds_have_an_interval_and_a_corrected_p():
    seeds = np.arange(8.0)
    files = sweep({(0.1, "a"): seeds + 1 + 0.1 * seeds, (0.1, "b"): seeds})
    (lead,) = leads.leads(files)
    low, high = lead.interval
    assert 1 < low < np.mean(lead.differences) < high < 1.7
    assert lead.p == "0.00782"  # 2 / 2^8, rounded up
    rows = files.rows + sweep({(0.1, "c"): seeds - 9}).rows
    (lead,) = leads.leads(files._replace(rows=rows))
    assert lead.p == "0.0235"  # three pairs might have been compared
    wide = sign_flip_interval(lead.differences, confidence=1 - 0.05 / 3)
    assert lead.interval == wide
    assert wide[0] < low < high < wide[1]
    rows += sweep({(0.1, name): seeds - 10 for name in "defgh"}).rows
    (lead,) = leads.leads(files._replace(rows=rows))
    assert lead.p == TOO_FEW  # of 28 pairs
    assert lead.interval == t_interval(lead.differences, confidence=1 - 0.05 / 28)
    assert findings.answer(files) == [
        "a is best of the decoders, by 1.35 dB of PSNR "
        f"(simultaneous 95 % interval {low:.2f} to {high:.2f}).",
        "a has the highest mean PSNR of 8 seeds: 4.85 dB.",
        "1 of 1 leads pass a paired sign-flip test "
        "(p at most 0.05, corrected for all pairs of settings).",
    ]
    first, *_, last = findings.answer(files._replace(rows=rows))
    assert "a is best of the decoders, by 1.35 dB of PSNR (simul" in first
    assert "lies above 0 for 1 of 1 leads; a paired sign-flip test, which" in last
    assert last.endswith("takes 11 seeds.")  # 28 * 2 / 2^11 is below 0.05


def test_other_measures_say_which_way_their_differences_go():
    files = sweep({(0.1, "a"): [10.0, 12.0], (0.1, "b"): [9.0, 10.0]})
    for row in files.rows:
        more = row[DECODER] == "a"
        row |= {leads.SSIM: 0.5 - 0.25 * more, leads.GREY: 1.0 + 1.64 * more}
    header, (line,) = leads.leads_table(files)
    told = dict(zip(header, line, strict=True))
    assert told["SSIM against runner-up, + is more"] == "-0.250"
    assert told["ripple s8 (grey levels) against runner-up, + is more"] == "+1.64"


def test_models_of_unequal_size_are_told_of_beside_the_best():
    files = sweep({(0.1, x): [10.0, 11.0] for x in ("deconv_k4", "a", "nearest_k3")})
    for row in files.rows:
        row["params"] = 17545 if row[DECODER] == "deconv_k4" else 12169
    told = (
        "The models are not of equal size: 12,169 parameters with a and nearest_k3, "
        "17,545 with deconv_k4, 44 % more, so that a lead may be the size's."
    )
    assert told in findings.answer(files)
    mend = [x for x in advice.next_steps(files) if "equal parameters" in x]
    assert '`{"field": ("model.upsampling", "model.decoder_widths")' in mend[0]
    for row in files.rows:
        row["params"] = min(row["params"], 12700)  # 4 % more
    said = " ".join(findings.answer(files) + advice.next_steps(files))
    assert "equal" not in said


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_difference_is_a_fact_without_an_interval_above_0(count):
    """Of fewer than three seeds nothing is; of more what the interval shows."""
    close, far = [10.0, 9.0, 10.5, 9.5][:count], [10.2, 9.1, 9.9, 9.7][:count]
    psnr = {("a",): [x + 5.0 for x in far], ("b",): close, ("c",): [1.0] * count}
    ripple = {"a": -20.0, "b": -150.0, "c": -20.0}
    clear = sweep(psnr, ripple, fields=(DECODER,))
    said = " ".join(findings.answer(clear) + advice.next_steps(clear))
    assert "always" not in said
    (lead,) = leads.leads(clear)
    enough = count >= ENOUGH
    assert (lead.interval is not None) == enough
    assert ("a is best of the decoders, by " in said) == enough
    assert ("To be free of them costs " in said) == enough
    assert ("too few to tell" in said or "cannot tell" in said) == (not enough)
    assert ("highest mean PSNR" in said) == (count > 1)
    vague = sweep(psnr | {("a",): far}, ripple, fields=(DECODER,))
    said = " ".join(findings.answer(vague) + advice.next_steps(vague))
    for claim in ("is best of", "costs 0", "dB of PSNR on average", "better than"):
        assert claim not in said
    assert ("No decoder is best beyond doubt: the interval" in said) == enough
    _, table = leads.leads_table(vague)
    assert ("[" in " ".join(table[0])) == enough


def test_models_worse_than_their_input_are_named():
    """The best of them is better: still the others are told of."""
    files = sweep({(0.1, "a"): [20.0], (0.1, "b"): [9.0]}, noisy=15.0)
    for row in files.rows[1:]:
        files.rows.append(row | {LEVEL: 0.5, leads.INPUT: 8.0})
    (said,) = [x for x in findings.answer(files) if "input" in x]
    assert said.startswith(
        "Worse than the corrupted input itself: b at noise level 0.1 (9.00 dB, the "
        "input 15.00 dB). Train longer"
    )
    assert below_input.counted(files) == "worse than the input: 1 of 3 settings"
    files = files._replace(rows=[row | {leads.INPUT: 30.0} for row in files.rows])
    (said,) = [x for x in findings.answer(files) if "input" in x]
    assert said.startswith("Even the highest PSNR lies below that of the corrupted")


def test_commands_are_for_the_folder_where_it_is_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "caejax run --config=quickstart --workdir=runs/a --notes='x y'"
    assert again.here(command, tmp_path / "runs/a") == command
    moved = "caejax run --config=quickstart '--notes=x y' --workdir=b"
    assert again.here(command, Path("b")) == moved
    assert again.here("python train.py", Path("b")) == "python train.py"


def test_commands_name_their_config_so_that_it_is_found_anywhere(tmp_path):
    shipped = find_config("quickstart")
    (tmp_path / "mine.py").write_text("")
    for config, name in {
        str(shipped): "quickstart",
        "configs/seeds/b_basic.py": "seeds/b_basic",
        "quickstart": "quickstart",
        "mine.py": f"{tmp_path}/mine.py",
        "gone.py": f"{tmp_path}/gone.py",
    }.items():
        command = f"caejax run --nocache --config {config} --workdir=runs/config"
        assert again.anywhere(command, str(tmp_path)) == (
            f"caejax run --nocache --config={name} --workdir=runs/config"
        )
    assert again.anywhere("caejax run --workdir=x", "/") == "caejax run --workdir=x"
    for command in ("caejax run --config=mine.py", "python own.py --config=mine.py"):
        directory = "" if command.startswith("caejax") else str(tmp_path)
        assert again.anywhere(command, directory) == command


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_of_a_sweep_that_lacks_runs_nothing_is_firm(status):
    """That comes first, in the answer and in what to do next."""
    ripple = {"a": -20.0, "b": -150.0}
    files = sweep({("a",): [9.0] * 5, ("b",): [12.0] * 5}, ripple, fields=(DECODER,))
    assert "Take b: it draws no checkerboard, and its PSNR is the highest." in (
        advice.next_steps(files)
    )
    lost = {DECODER: "a", "seed": 5, "status": status}
    files = files._replace(rows=[*files.rows, lost, lost | {DECODER: "b"}])
    what = {"pending": "are missing", "failed": "have failed"}[status]
    assert findings.answer(files)[0].startswith(
        f"This is a first look: 2 of 12 runs {what}"
    )
    first, *rest = advice.next_steps(files, "python -m caejax.main --workdir=x")
    assert first.startswith(f"First of all finish the sweep: 2 of 12 runs {what}; ")
    assert "give the command that began it once more, `python -m " in first
    assert ("Failed runs" in first) == (status == "failed")
    best = "So far b looks best: it draws no checkerboard, and its PSNR is the highest"
    assert f"{best}." in rest


def test_the_best_is_held_against_its_own_input():
    """Of whole configs, one may be given less noise than another."""
    files = sweep({("a",): [20.0], ("b",): [19.0]}, fields=["config"])
    for row, noisy in zip(files.rows, (10.0, 40.0), strict=True):
        row[leads.INPUT] = noisy
    (lead,) = leads.leads(files)
    assert (lead.best, lead.input) == (("a",), 10.0)
    (told,) = below_input.told(files, [lead])
    assert "itself: b (19.00 dB, the input 40.00 dB). Train" in told


def test_of_models_below_their_input_none_is_called_best():
    ripple = {"a": -20.0, "b": -150.0}
    files = sweep({("a",): [9.0] * 5, ("b",): [12.0] * 5}, ripple, fields=(DECODER,))
    rows = [row | {"test/psnr_noisy": 20.0} for row in files.rows]
    said = advice.next_steps(files._replace(rows=rows))
    assert not any("looks best" in x or x.startswith("Take") for x in said)
    assert any(x.startswith("If patterns matter, keep b, which draws no") for x in said)


def test_one_seed_gives_no_firm_advice():
    ripple = {"a": -20.0, "b": -150.0}
    files = sweep({("a",): [9.0], ("b",): [12.0]}, ripple, fields=(DECODER,))
    said = advice.next_steps(files)
    assert not any(x.startswith("Take") for x in said)
    assert any(x.startswith("So far b looks best: ") for x in said)


def test_a_lead_over_seeds_that_not_both_have_says_so():
    """Its mean is not the difference of the two means."""
    files = sweep({("a",): [9.0, 11.0], ("b",): [12.5]}, fields=(DECODER,))
    assert findings.answer(files)[1] == (
        "b has the highest PSNR: 12.50 dB (3.50 dB above a over the seeds that both "
        "have, one seed)."
    )


def test_of_seeds_that_not_both_have_the_best_may_be_behind():
    """Its interval lies below 0 then, and is not said to hold it, nor to be a lead."""
    ours, theirs = [20.0, 20.1, 19.9, 40.0], [21.0, 21.2, 20.8]
    psnr = {("a",): ours, ("b",): theirs}
    files = sweep(psnr, {"a": -20.0, "b": -150.0}, fields=(DECODER,))
    first, *_, price, last = findings.answer(files)
    assert first.startswith(
        "No decoder is best beyond doubt: the interval of what a is ahead of b lies "
        "below 0, -1.00 dB of PSNR over the seeds that both have (simul"
    )
    assert "b lies -1.00 dB below a, simultaneous 95 % interval -1.2" in price
    assert price.endswith(", which lies below 0.")
    assert "lies above 0 for 0 of 1 leads" in last
    said = " ".join(advice.next_steps(files))
    assert (
        "Take b: it draws no checkerboard, and its PSNR is not lower over the" in said
    )
    psnr |= {("b",): [19.9, 20.2, 19.8]}
    said = findings.answer(sweep(psnr, {"a": -20.0, "b": -150.0}, fields=(DECODER,)))
    assert "a is ahead of b holds 0, 0.03 dB" in said[0]
    assert said[-2].endswith(", which holds 0.")
    psnr = {(0.1, "a"): ours, (0.1, "b"): theirs, (0.5, "a"): ours, (0.5, "b"): theirs}
    said = findings.answer(sweep(psnr, {"a": -20.0, "b": -150.0}))
    assert "does the interval of the lead lie above 0" in said[0]
    assert "intervals hold 0 or lie below it." in said[-2]


def test_the_clean_decoder_to_take_is_best_where_all_clean_ones_are_done():
    """The other one lacks the condition in which PSNR is low."""
    ripple = {"a": -20.0, "b": -150.0, "c": -150.0}
    psnr = {(0.1, "a"): [30.0], (0.1, "b"): [28.0], (0.1, "c"): [29.0]}
    psnr |= {(0.5, "a"): [20.0], (0.5, "c"): [19.0]}
    said = " ".join(advice.next_steps(sweep(psnr, ripple)))
    assert "take c: it draws no checkerboard" in said


def test_how_to_add_seeds_is_the_flag_of_the_axis():
    config = {"sweep": {"luck": {"field": "seed", "values": [0, 3]}}}
    files = sweep({("a",): [1.0, 2.0], ("b",): [0.0, 0.0]}, fields=(DECODER,))
    (step,) = [
        x for x in advice.next_steps(files._replace(config=config)) if "Add" in x
    ]
    assert step.startswith(
        'Add seeds, `--config.sweep.luck.values="(0, 3, 1, 2, 4, 5)"`: 3 seeds are the '
        "least for an interval, and 6 the least with which a sign-flip test can"
    )
    three = sweep({("a",): [1.0] * 3, ("b",): [0.0] * 3}, fields=(DECODER,))
    config = {"sweep": {"luck": {"field": "seed", "values": [0, 1, 2]}}}
    (step,) = [
        x for x in advice.next_steps(three._replace(config=config)) if "Add" in x
    ]
    assert ": 6 seeds are the least with which a sign-flip test can" in step
    config = {"sweep": {"luck": {"field": "seed", "values": [0, 3]}}}
    command = (
        "python -m caejax.main --config=a.py --workdir=w --config.sweep.luck.values=3"
    )
    (step,) = [
        x
        for x in advice.next_steps(files._replace(config=config), command)
        if "Add" in x
    ]
    assert step.startswith(
        "Add seeds, in the same folder, which keeps those that it has: `caejax run "
        "--config=a.py '--config.sweep.luck.values=(0, 3, 1, 2, 4, 5)' --workdir=w`: "
        "3 seeds are the least"
    )


def test_intervals_of_many_seeds_are_students_too():
    """As is said beside them; BCa of so high a confidence is far too narrow."""
    x = [*np.random.default_rng(0).normal(size=13)]
    interval, p = evidence.judge(x, 300)
    assert p == TOO_FEW
    assert interval == t_interval(x, confidence=1 - 0.05 / 300)
    ours, zeros = [20.0 + d for d in x], [20.0] * 13
    files = sweep({("a",): ours, ("b",): zeros}, fields=(DECODER,))
    for row in files.rows:
        row[leads.SSIM] = row[leads.PSNR] / 100
    files = files._replace(references=reference("pca", zeros))
    (lead,) = leads.leads(files)
    header, (line,) = leads.leads_table(files)
    said = dict(zip(header, line, strict=True))["SSIM against runner-up, + is more"]
    low, high = t_interval(lead.others[leads.SSIM])
    assert said.endswith(f"[{low:+.3f}, {high:+.3f}]")
    ((rival,),) = findings.held_against_references(files, [lead])
    assert rival.interval == t_interval(rival.differences)


def test_of_very_many_pairs_no_number_of_seeds_is_looked_for():
    """A p of random signs has a floor, so that there is none."""
    assert evidence.needed(26_000) == 20
    assert evidence.needed(27_000) is None
    psnr = {(i,): [i + 0.1, i + 0.2, i + 0.4] for i in range(240)}
    files = sweep({i: x[:1] for i, x in psnr.items()}, fields=("loss",))
    (step,) = [x for x in advice.next_steps(files) if "Add" in x]
    assert step.endswith("is `seed`: 3 seeds are the least for an interval.")
    files = sweep(psnr, fields=("loss",))
    assert not any("Add" in x for x in advice.next_steps(files))
    last = findings.answer(files)[-1]
    assert last.endswith("which assumes less, cannot find one of 28,680 pairs.")


def test_the_answer_names_the_best_the_clean_and_the_price():
    ripple = {"a": -20.4, "b": -130.2, "c": -7.0}
    psnr = {
        (0.1, "a"): [20.0, 21.0],
        (0.1, "b"): [19.0, 20.5],
        (0.1, "c"): [9.0, 9.0],
        (0.5, "a"): [10.0, 10.0],
        (0.5, "b"): [11.0, 12.0],
        (0.5, "c"): [9.0, 9.0],
    }
    assert findings.answer(sweep(psnr, ripple, noisy=15.0)) == [
        "2 seeds are too few to tell which decoder is best.",
        "Worse than the corrupted input itself: 4 of 6 settings, at 1 of 2 settings of "
        "noise level even the best. Train longer, or with another model, before you "
        "draw conclusions.",
        "Highest mean PSNR of 2 seeds: "
        "a, 20.50 dB at noise level 0.1 (0.75 dB above b, ahead in 2 of 2 seeds); "
        "b, 11.50 dB at noise level 0.5 (1.50 dB above a, ahead in 2 of 2 seeds).",
        "Free of checkerboards on constant codes: b, with a DC ripple of at most "
        "−130 dBFS in any run; a draws −20 dBFS and c −7 dBFS over their runs.",
        "The best of those that are (b) lies 0.00 to 0.75 dB of PSNR below the highest "
        "at 2 settings of noise level; 2 seeds are too few to tell what it costs to be "
        "free of them.",
    ]


def test_a_range_over_runs_is_that_of_its_one_decoder_or_of_theirs():
    psnr = {("a",): [20.0, 21.0], ("b",): [19.0, 20.5], ("c",): [9.0, 9.0]}
    files = sweep(psnr, {"a": -20, "b": -150, "c": -150}, fields=(DECODER,))
    files.rows[0][findings.RIPPLE] = -30
    said = findings.answer(files)
    assert said[-1].endswith("in any run; a draws −30 to −20 dBFS over its runs.")
    ripple = {"a": -150, "b": -20}
    (_, *_, last) = findings.answer(sweep(psnr, ripple | {"c": -8}, fields=(DECODER,)))
    assert last == "a, which draws none, has the highest PSNR, too."


def test_what_few_seeds_show_of_the_clean_ones_is_said_once():
    """The sentence on the lead has that of the runner-up; a single one is no best."""
    psnr = {("a",): [20.0, 21.0], ("b",): [19.5, 20.9], ("c",): [19.0, 20.5]}
    psnr |= {("d",): [9.0, 9.0]}
    ripple = {"a": -20, "b": -30, "c": -150, "d": -150}
    files = sweep(psnr, ripple, fields=(DECODER,))
    price = (
        "lies 0.75 dB of PSNR below a (below in 2 of 2 seeds); 2 seeds are too few to "
        "tell what it costs to be free of them."
    )
    said = findings.answer(files)
    assert said[-1] == f"The best of those that are, c, {price}"
    said = findings.answer(files._replace(rows=files.rows[:6]))
    assert said[-1] == f"c {price}"
    rows = [row for row in files.rows if row[DECODER] in "ac"]
    said = findings.answer(files._replace(rows=rows))
    lead = "20.50 dB (0.75 dB above c, ahead in 2 of 2 seeds)."
    assert said[1] == f"a has the highest mean PSNR of 2 seeds: {lead}"
    assert " ".join(said).count("0.75 dB") == " ".join(said).count("2 of 2") == 1
    (step,) = [x for x in advice.next_steps(files) if "patterns" in x]
    assert step.endswith("it draws no checkerboard, but so far its PSNR is lower.")


def test_a_price_too_small_for_two_digits_is_said_in_words():
    psnr = {("a",): [20.002, 21.002, 22.002], ("b",): [20, 21, 22]}
    found = findings.answer(sweep(psnr, {"a": -30, "b": -150}, fields=(DECODER,)))
    said = "To be free of them costs less than 0.01 dB of PSNR, with b (simultaneous"
    assert any(x.startswith(said) for x in found)


def test_many_settings_are_counted():
    psnr = {(level, "a"): [level] for level in range(5)}
    psnr |= {(level, "b"): [level + (0.5 if level else -0.25)] for level in range(5)}
    assert findings.answer(sweep(psnr))[1] == (
        "Of 5 settings of noise level, the highest PSNR is that of b at 4 and a at 1; "
        "leads are 0.25 to 0.50 dB."
    )


def test_one_seed_or_no_run_is_said():
    assert findings.answer(sweep({(1, "a"): [1], (1, "b"): [2]})) == [
        "One seed cannot tell which decoder is best.",
        "b has the highest PSNR: 2.00 dB (1.00 dB above a, one seed).",
    ]
    assert "nothing to compare" in findings.answer(sweep({}))[0]
    assert leads.leads_table(sweep({(1, "a"): [1]})) == ([], [])


def test_a_run_is_held_against_its_input():
    config = {"corruption": {"name": "cross"}}
    figures = {leads.PSNR: 20.0, leads.INPUT: 12.5, findings.RIPPLE: -120.0}
    run = RunFiles(config, figures | {"test/ssim": 0.5}, [], {})
    assert findings.run_question(run).startswith("How well does this model inpaint, ")
    assert findings.run_answer(run)[:2] == [
        "Test PSNR is 20.00 dB, 7.50 dB above the input's 12.50 dB; SSIM is 0.500.",
        "On constant codes its DC ripple is −120 dBFS: no checkerboard, only rounding.",
    ]
    figures |= {findings.RIPPLE: -40.0, leads.GREY: 2.55, "test/ssim": 0.5}
    figures |= {"test/ssim_noisy": 0.25}
    assert findings.run_answer(run._replace(summary=figures))[:2] == [
        "Test PSNR is 20.00 dB, 7.50 dB above the input's 12.50 dB; SSIM is 0.500, the "
        "input's 0.250.",
        "On constant codes its DC ripple is −40 dBFS, 2.55 grey levels of 255: it "
        "checkerboards.",
    ]
    del figures["test/ssim"]
    # Images smaller than SSIM's window have none.
    run = run._replace(summary=figures)
    assert findings.run_answer(run)[0].endswith("the input's 12.50 dB.")


def reference(name, psnr, **fields):
    """Rows of references.csv from PSNRs by seed."""
    common = {"reference": name, "images": 5, "test_images": 5, **fields}
    return [common | {"seed": seed, leads.PSNR: x} for seed, x in enumerate(psnr)]


def test_the_best_is_held_against_references_of_the_same_images():
    psnr = {
        (0.1, "a"): [20.0, 21.0],
        (0.1, "b"): [19.0, 19.0],
        (0.5, "a"): [12.0, 12.0],
        (0.5, "b"): [11.0, 11.0],
    }
    rows = reference("pca", [21.0, 23.0], **{LEVEL: 0.1, "latent_size": 8})
    rows += reference("pca", [11.5, 11.5], **{LEVEL: 0.5, "latent_size": 8})
    rows += reference("nlm", [19.0, 19.0], **{LEVEL: 0.1, "images": 2})
    rows += reference("input", [99.0, 99.0], **{LEVEL: 0.1})
    files = sweep(psnr)._replace(references=rows)
    said = findings.answer(files)
    assert said[:2] == [
        "2 seeds are too few to tell which decoder is best.",
        "In these 2 seeds PCA (8 numbers) lies above all at 1 of 2.",
    ]
    assert said[3] == (
        "In PSNR, PCA (8 numbers) lies 1.50 dB above a at noise level 0.1 (ahead in 2 "
        "of 2 seeds); PCA (8 numbers) lies 0.50 dB below a at noise level 0.5 (ahead "
        "in 0 of 2 seeds)."
    )
    judged = findings.held_against_references(files, leads.leads(files))
    assert [[rival.name for rival in rivals] for rivals in judged] == [
        ["PCA (8 numbers)", "non-local means (on 2 of 5 test images)"],
        ["PCA (8 numbers)"],
    ]
    assert any("PCA (8 numbers) is the better" in x for x in advice.next_steps(files))


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        ([1.0, 1.1, 0.9, 1.0], "PCA is better than all"),
        ([-1.0, -1.1, -0.9, -1.0], "No other estimator is better: PCA comes nearest, "),
        ([-1.0, 1.1, -0.9, 1.0], "PCA cannot be told from the best"),
    ],
)
def test_intervals_over_seeds_decide_who_is_better(ahead, said):
    ours = [20.0, 20.5, 21.0, 19.0]
    theirs = [x + y for x, y in zip(ours, ahead, strict=True)]
    files = sweep({("a",): ours, ("b",): [9.0] * 4}, fields=(DECODER,))
    files = files._replace(references=reference("pca", theirs))
    assert findings.answer(files)[1].startswith(said)
    ((rival,),) = findings.held_against_references(files, leads.leads(files))
    assert rival.interval[0] < np.mean(ahead) < rival.interval[1]


def test_no_interval_is_given_to_what_was_measured_on_other_images():
    """The first images may be easier than all are, whatever the seed."""
    files = sweep({("a",): [20.0] * 4, ("b",): [9.0] * 4}, fields=(DECODER,))
    rows = reference("tv", [21.0, 21.1, 20.9, 21.0], images=2)
    files = files._replace(references=rows)
    name = "total variation (on 2 of 5 test images)"
    assert f"In these 4 seeds {name} lies above all." in findings.answer(files)
    ((rival,),) = findings.held_against_references(files, leads.leads(files))
    assert rival.interval is rival.better is None


def test_of_many_references_some_are_named_and_that_there_are_others():
    names = ("tv", "nlm", "pca", "bm3d")
    psnr = {(level, x): [9.0] for level in range(4) for x in "ab"}
    found = [reference(x, [11.0], **{LEVEL: i})[0] for i, x in enumerate(names)]
    said = findings.answer(sweep(psnr)._replace(references=found))
    some = "total variation, non-local means, PCA and others"
    assert said[1] == f"In this seed {some} lie above all."
    assert any(f"The strongest other estimator ({some}) lies" in x for x in said)


def test_a_reference_of_each_bottleneck_meets_the_models_of_that_bottleneck():
    field = "model.latent_channels"
    psnr = {(2, "a"): [9.0], (2, "b"): [1.0], (8, "a"): [19.0], (8, "b"): [1.0]}
    files = sweep(psnr, fields=(field, DECODER))
    rows = reference("pca", [10.0], **{field: 2}) + reference("pca", [16], **{field: 8})
    files = files._replace(references=rows)
    judged = findings.held_against_references(files, leads.leads(files))
    assert [[rival.lead for rival in rivals] for rivals in judged] == [[1.0], [-3.0]]


def test_a_run_is_held_against_its_references():
    config = {"corruption": {"name": "gaussian"}, "seed": 0}
    figures = {leads.PSNR: 20.0}
    rows = reference("pca", [21.25]) + reference("tv", [19.0])
    run = RunFiles(config, figures, [], {}, rows)
    assert "Above this model in PSNR: PCA by 1.25 dB." in findings.run_answer(run)
    run = run._replace(references=rows[1:])
    said = "none has a higher PSNR: total variation comes nearest, 1.00 dB below."
    assert any(said in x for x in findings.run_answer(run))


def test_no_model_is_held_against_an_input_that_is_not_corrupted():
    """Of that, which is the target itself, PSNR is held to 100 dB."""
    files = sweep({(0.1, "a"): [20.0, 21.0], (0.1, "b"): [19.5, 20.5]}, noisy=100.0)
    said = " ".join(findings.answer(files) + advice.next_steps(files))
    assert "input" not in said
    config = {"seed": 0, "corruption": {"name": "none", "level": 0.0}}
    run = RunFiles(config, {leads.PSNR: 20.0, leads.INPUT: 100.0}, [], {})
    said = " ".join(findings.run_answer(run) + advice.run_next_steps(run))
    assert "input" not in said
    assert not words.worse_than_input(run.summary)
    assert words.worse_than_input(run.summary | {leads.INPUT: 21.0})


def losses(*values):
    return [{"split": "val", "step": 10 * i, "loss": x} for i, x in enumerate(values)]


def test_what_to_do_next_follows_from_the_files():
    ripple = {"a": -20.0, "b": -150.0}
    files = sweep({(0.1, "a"): [20.0, 21.0], (0.1, "b"): [19.5, 20.5]}, ripple)
    falling = RunFiles({}, {}, losses(9, 5, 4, 3, 2, 1), {})
    files = files._replace(
        runs={"x": falling, "y": falling._replace(rows=losses(9, 2, 1, 1, 1, 1))},
        config={
            "train": {"epochs": 3},
            "corruption": {"name": "gaussian"},
            "sweep": {"decoder": {"field": "model.upsampling"}},
        },
    )
    assert advice.next_steps(files) == [
        "Train longer, with `--config.train.epochs=6` for instance, and with another "
        "`--workdir`, as this one keeps its runs. In 1 of 2 runs the validation loss "
        "was still falling.",
        "Add seeds, an axis of `config.sweep` whose field is `seed`: 3 seeds are the "
        "least for an interval, and 6 the least with which a sign-flip test can find a "
        "difference.",
        "If patterns matter more than PSNR, take b: it draws no checkerboard, but so "
        "far its PSNR is lower.",
        "Measure what else could be done with these images, by PCA and a median filter "
        "for instance: `caejax eval --workdir=DIR --references=median,pca`, "
        "then `caejax report --workdir=DIR`.",
    ]
    words = "--workdir 'my runs/a' --config=quickstart"
    # That of earlier records is written anew.
    earlier = "python -m caejax.main"
    for program in ("caejax run", earlier, f"{earlier} --mode=run"):
        assert advice.next_steps(files, f"{program} {words}")[0].startswith(
            "Train longer, in a folder of its own: `caejax run --config=quickstart "
            "--config.train.epochs=6 '--workdir=my runs/a-6-epochs'`."
        )
    rows = [row | {"train.epochs": 3} for row in files.rows]
    swept = files._replace(fields=[*files.fields, "train.epochs"], rows=rows)
    assert advice.next_steps(swept)[0].startswith("Train longer. In 1 of 2 runs")
    run = falling._replace(
        config=files.config | {"sweep": {}}, summary={"test/psnr": 20.0}
    )
    assert "longer, `--config.train.epochs=6` for" in advice.run_next_steps(run)[0]
    run.config["optimizer"] = {"schedule": "cosine"}
    assert "another `--workdir`" in advice.run_next_steps(run)[0]
    assert not advice.still_falling(losses(2, 1))
    assert not advice.still_falling(losses(9, 5, 4, 3, 1, 1))
    lost = losses(*range(99, 0, -1))[-4:]  # all rows but the last
    assert len(lost) == 4
    assert not advice.still_falling(lost)


def test_runs_of_few_steps_are_to_be_trained_for_enough():
    """As the command warned when they began; twice the epochs may be few still."""
    config = {"train": {"epochs": 2}, "corruption": {"name": "cross"}}
    summary = {leads.PSNR: 20.0, "steps": 28, "epochs": 2}
    run = RunFiles(config, summary, losses(9, 5, 4, 3, 2, 1), {})
    assert advice.run_next_steps(run) == [
        "Train longer, `--config.train.epochs=8` for instance. 28 steps are few: "
        "hardly any model learns much in less than 100. The validation loss was still "
        "falling."
    ]
    run = run._replace(rows=losses(9, 2, 1, 1, 1, 1))
    (step,) = advice.run_next_steps(run)
    assert step.endswith("much in less than 100.")
    # Of 50 epochs it has taken 7, each of 4 steps; more than 50 would change nothing.
    rows = [row | {"epoch": i} for i, row in enumerate(losses(*[9] * 5, 8, 8.5, 8.7))]
    stopping = run._replace(config=config | {"train": {"epochs": 50}}, rows=rows)
    stopping.config["train"]["early_stopping"] = 2
    stopping = stopping._replace(summary=summary | {"epochs": 50})
    assert advice.run_next_steps(stopping)[0].startswith(
        "Train longer, with more patience, `--config.train.early_stopping=4` for "
        "instance, and with another `--workdir`, as this one keeps its runs. 28 steps"
    )
    stopping.config["train"]["early_stopping"] = 0  # where epochs are those that it had
    assert "epochs=179` for" in advice.run_next_steps(stopping)[0]
    run = run._replace(summary=summary | {"steps": 100})
    assert advice.run_next_steps(run) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"source": "glyphs", "train_size": 2000, "val_fraction": 0.1},
            "grey, 1,800 for training and 200 for validation.",
        ),
        (
            {"source": "glyphs", "train_size": 2000, "limit": 500, "val_fraction": 0.0},
            "grey, 500 for training.",
        ),
        ({"source": "idx", "train_size": 2000, "limit": 500}, "at most 500 for train"),
        ({"source": "idx", "train_size": 2000}, "28 x 28, grey."),
    ],
)
def test_the_images_for_training_are_those_behind_the_split(data, said):
    samples = {"target": np.zeros((2, 28, 28, 1))}
    run = RunFiles({"data": data}, {}, [], samples)
    assert said in explained.explain_run(run)["Data"]


@pytest.mark.parametrize(
    ("fields", "model", "training"),
    [
        (
            {"widths": [8, 16], "latent_channels": 4, "epochs": 2, "steps": 1200},
            "2 stages of 8, 16 channels, each of which halves the image by max pooling"
            ", a code of 4 channels, and as many stages of nearest_k3 upsampling",
            "2 epochs, 1,200 steps in",
        ),
        (
            {"widths": [8], "latent_channels": 1, "epochs": 1, "steps": 1},
            "1 stage of 8 channels, which halves the image by max pooling, "
            "a code of 1 channel, and one of nearest_k3 upsampling",
            "1 epoch, 1 step in",
        ),
    ],
)
def test_one_of_something_is_not_several(fields, model, training):
    kind = {"encoder": "conv", "upsampling": "nearest_k3", "downsampling": "max_pool"}
    config = {
        "model": kind | {name: fields[name] for name in ("widths", "latent_channels")},
        "train": {"epochs": fields["epochs"], "batch_size": 8},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "loss": "mse",
    }
    told = explained.explain_run(RunFiles(config, {"steps": fields["steps"]}, [], {}))
    assert model in told["Model"]
    assert training in told["Training"]


def test_a_unet_and_a_range_of_levels_are_told():
    model = {"encoder": "conv", "widths": [8], "skips": "add", "residual": True}
    corruption = {"name": "gaussian", "level": 0.1, "train_range": [0.0, 55 / 255]}
    run = RunFiles({"model": model, "corruption": corruption}, {}, [], {})
    told = explained.explain_run(run)
    assert "with skips that add the encoder's features; what it de" in told["Model"]
    assert told["Corruption"].endswith("level is drawn from a range, (0, 0.216).")
    assert setting_of(run.config) == "gaussian 0.1 (in training 0 to 0.216)"
    model |= {"skips": "none", "residual": False}
    corruption["train_range"] = []
    told = explained.explain_run(run)
    assert "skips" not in told["Model"]
    assert "range," not in told["Corruption"]


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (([8, 16], [16, 32]), "2 stages of (8, 16) or (16, 32) channels"),
        (([8], [16, 32]), "1 or 2 stages of (8,) or (16, 32) channels"),
    ],
)
def test_stages_are_those_of_the_runs(widths, said):
    field, kind = "model.widths", {"encoder": "conv"}
    rows = [{"status": "done", field: str(tuple(x))} for x in widths]
    runs = {
        str(i): RunFiles({"model": kind | {"widths": x}}, {}, [], {})
        for i, x in enumerate(widths)
    }
    told = explained.explain_sweep(SweepFiles({"model": kind}, [field], rows, runs))
    assert said in told["Model"]


def test_a_price_is_of_the_seeds_that_both_have():
    """Where a run is missing, as its interval is."""
    psnr = {("a",): [20.0, 21.0, 22.0, 40.0], ("b",): [19.9, 20.9, 21.8]}
    files = sweep(psnr, {"a": -20.0, "b": -150.0}, [DECODER])
    (found,) = costs(files, [("b",)])
    assert found.gap == pytest.approx(0.4 / 3)
    low, high = found.interval
    assert low < found.gap < high


def test_of_whole_configs_the_runs_are_told_not_the_sweep():
    """Of a sweep's own config nothing of a run counts then."""
    own = {"model": {"encoder": "conv", "upsampling": "nearest_k3"}}
    own |= {"corruption": {"name": "gaussian", "level": 0.5}, "data": {"source": "x"}}
    model = {"encoder": "dense", "widths": [32, 16], "latent_channels": 4}
    corruption = {"name": "masking", "level": 0.3}
    runs = {
        name: RunFiles({"model": model, "corruption": corruption}, {}, [], {})
        for name in "ab"
    }
    rows = [{"status": "done", "config": name, "run_id": name} for name in runs]
    files = SweepFiles(own, ["config"], rows, runs, [TV])
    told = explained.explain_sweep(files)
    assert told["Model"].startswith("An autoencoder of dense layers of 32, 16 units")
    assert "0.3" in told["Corruption"]
    assert "0.5" not in told["Corruption"]
    kinds = [row["estimator"] for row in with_references(files)[1]]
    assert kinds == [*2 * ["dense autoencoder"], "tv"]
    assert settings_of(files, ["config"]) == "config a and b"
    model["upsampling"] = "deconv_k4"
    assert explained.decoders_of(files) == ["deconv_k4"]
    rows = [row | {leads.PSNR: 20.0, "seed": 0} for row in rows]
    files = files._replace(rows=rows, references=[])
    assert "Measure what else" in advice.next_steps(files)[-1]
    corruption["name"] = "cross"  # to be filled in, which no filter does
    assert not any("Measure what else" in x for x in advice.next_steps(files))


def test_of_many_values_the_least_and_the_largest_are_told():
    """In whichever order a sweep has them; of names the first and the last."""
    levels = ["0.5", "0.1", "0.3", "0.2", "0.25"]
    assert several(levels) == "0.1 to 0.5 (5 values)"
    assert several([*"badce"]) == "b to e (5 values)"
    assert several(levels[:3]) == "0.5, 0.1 and 0.3"


def test_counts_have_commas_at_thousands():
    row = {"reference": "pca", "latent_size": 1568, "images": 1200, "test_images": 5000}
    assert judgement.called(row) == (
        "PCA (1,568 numbers, on 1,200 of 5,000 test images)"
    )
    rows = [{"status": "done"}] * 5 + [{"status": "pending"}] * 1200
    files = SweepFiles({}, [], rows, {}, [row])
    assert missing.lacking(files) == "1,200 of 1,205 runs are missing"
    assert with_references(files)[1][-1]["estimator"] == (
        "pca (1,568 numbers) (1,200 images)"
    )


def test_sentences_begin_with_a_capital_unless_with_a_name():
    assert words.begun("the model has a PSNR") == "The model has a PSNR"
    assert words.begun("nearest_k3 has a PSNR") == "nearest_k3 has a PSNR"


def test_the_version_that_did_the_work_is_cited():
    assert "  version = {0.1.0}," in bibtex("2025", "0.1.0").splitlines()
    assert f"  version = {{{__version__}}}," in bibtex("2025").splitlines()
