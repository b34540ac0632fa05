"""What commands make of runs and sweeps whose files have been damaged since."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import mutate
from helpers.sweep_jobs import SEEDS, sweep_config
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.evaluation.levels import measure_levels
from caejax.evaluation.references import measure_references
from caejax.files.atomic import move_aside, read_rows, write_atomically
from caejax.files.csv_files import read_csv
from caejax.files.finished import read_samples
from caejax.report import report as report_lib
from caejax.report.read import read_sweep
from caejax.report.report import report
from caejax.sweep import results
from caejax.sweep.run import run_sweep
from caejax.training import folder as folder_lib
from caejax.training import loop

RESULTS = "results.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep of two runs."""
    folder = tmp_path_factory.mktemp("sweep")
    run_sweep(sweep_config(seed=SEEDS), folder)
    return folder


@pytest.fixture
def sweep(made, tmp_path):
    return shutil.copytree(made, tmp_path / "sweep")


@pytest.fixture
def runs(sweep):
    """The folders of its runs, in the order of results.csv."""
    return [sweep / "runs" / row["run_id"] for row in read_csv(sweep / RESULTS)]


@pytest.fixture
def run(runs):
    """A finished run by itself."""
    return runs[0]


def own_config():
    config = tiny_config()
    config.train.epochs = 1
    return config


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def no_text(path):
    path.write_bytes(b"\xff" + path.read_bytes())


def a_list(path):
    path.write_text("[3]\n")


def deep(path):
    path.write_text("[" * 100_000)


def folder(path):
    path.unlink()
    path.mkdir()


def link(path):
    path.unlink()
    path.symlink_to(path.name)


def lose_a_row(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def no_numbers(path):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"test/psnr": "high"}))


def pickled(path):
    np.savez(path, target=np.array([{}], dtype=object))


def other_shapes(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {"output": arrays["output"][:1]})


JSON = (remove, empty, cut, no_text, a_list, deep, folder, link)
ARRAYS = (remove, empty, cut, flip, folder, pickled, other_shapes)
LOST = [("summary.json", spoil) for spoil in (*JSON, no_numbers)]
LOST += [("samples.npz", spoil) for spoil in ARRAYS]


@pytest.mark.parametrize(("name", "spoil"), LOST)
def test_results_are_said_to_be_lost(run, name, spoil):
    spoil(run / name)
    with pytest.raises(CaejaxError, match=rf"/{name} is .*caejax run`") as error:
        report(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        *(("summary.json", cut), ("summary.json", folder), ("summary.json", link)),
        ("samples.npz", flip),
    ],
)
def test_results_are_made_again(run, made, name, spoil):
    before = made / "runs" / run.name
    spoil(run / name)
    loop.train(own_config(), run, verbose=False)
    for file in ("summary.json", "samples.npz"):
        assert (run / file).read_bytes() == (before / file).read_bytes()


def test_pictures_that_cannot_be_made_again_are_no_reason_to_train(run, monkeypatch):
    cut(run / "samples.npz")
    shutil.rmtree(run / "checkpoints")
    monkeypatch.setattr(loop, "_train", None)
    assert loop.train(own_config(), run)["steps"] == 4


def test_a_sweep_makes_good_what_it_can(sweep, runs, made, capsys):
    first, second = runs
    no_text(first / "summary.json")
    cut(first / "config.json")
    flip(second / "samples.npz")
    deep(sweep / "config.json")
    empty(sweep / RESULTS)
    rows = run_sweep(sweep_config(seed=SEEDS), sweep)
    assert [row["status"] for row in rows] == ["done", "done"]
    for file in ("config.json", "summary.json", "samples.npz"):
        for path in (first / file, second / file):
            assert path.read_bytes() == (made / path.relative_to(sweep)).read_bytes()
    for file in (RESULTS, "config.json"):
        assert (sweep / file).read_bytes() == (made / file).read_bytes()
    noted = capsys.readouterr().err
    assert f"{first.name}/config.json is damaged" in noted
    assert f"{second.name}/samples.npz is damaged; it is made again" in noted


def test_one_run_s_damage_is_its_own(sweep, runs):
    """A file where its folder should be, and an error of another encoding."""
    first, second = runs
    shutil.rmtree(first)
    first.write_text("x")
    (second / "summary.json").unlink()
    (second / "error.txt").write_bytes(b"\xff\0 odd")
    rows = run_sweep(sweep_config(seed=SEEDS), sweep)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "is no folder; move it away" in rows[0]["error"]
    table = read_csv(sweep / RESULTS)
    assert [row["status"] for row in table] == ["failed", "done"]
    assert first.read_text() == "x"


def test_a_run_that_nobody_may_look_into_has_failed(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(results.os, "access", lambda path, mode: path != run)
    monkeypatch.setattr(type(run), "touch", refuse)
    assert results.status(run) == "failed"
    results.try_again(run)
    assert "may not be looked into" in results.error_text(run)
    monkeypatch.setattr(type(run), "exists", refuse)
    assert folder_lib.is_started(run)


def test_a_report_leaves_out_a_damaged_run(sweep, runs, monkeypatch, capsys):
    pages = []
    monkeypatch.setattr(
        report_lib.page, "_write", lambda *_, **content: pages.append(content)
    )
    cut(runs[0] / "samples.npz")
    with mutate.coarse_figures():
        report(sweep)
    captured = capsys.readouterr()
    assert f"run {runs[0].name} is left out: " in captured.err
    (page,) = pages
    (failed,) = page["failed"]
    assert failed["run_id"] == runs[0].name
    assert "samples.npz is damaged" in failed["error"]
    assert page["facts"]["runs done"] == "1 of 2"
    shutil.rmtree(runs[0])
    assert [x["status"] for x in read_sweep(sweep).rows] == ["pending", "done"]
    empty(runs[1] / "config.json")
    with pytest.raises(CaejaxError, match=r"no run of .*samples\.npz is missing"):
        report(sweep)


@pytest.mark.parametrize("spoil", [empty, cut, no_text, deep, folder, lose_a_row])
def test_results_are_read_from_the_runs_again(sweep, made, spoil, capsys):
    spoil(sweep / RESULTS)
    files = read_sweep(sweep)
    assert files.rows == read_sweep(made).rows
    assert (sweep / RESULTS).read_bytes() == (made / RESULTS).read_bytes()
    assert "results.csv is damaged" in capsys.readouterr().err


def test_measuring_leaves_out_damaged_runs(sweep, runs, capsys):
    first, second = runs
    for path in (first / "checkpoints").glob("*/4/about/metadata"):
        cut(path)
    rows = measure_levels(sweep, [0.2])
    assert [row["run_id"] for row in rows] == [second.name]
    a_list(second / "summary.json")
    assert len(measure_references(sweep, ["input"])) == 1
    noted = capsys.readouterr().err
    assert f"run {first.name} is left out: " in noted
    assert f"run {second.name} is left out: " in noted
    with pytest.raises(CaejaxError, match=r"last/4 is damaged"):
        measure_levels(sweep, [0.3])


def test_tables_that_cannot_be_read_are_not_written_over(sweep, runs, capsys):
    levels = sweep / "levels.csv"
    levels.write_text("run_id,test_level\n1234567890,0.1,7\n")
    with pytest.raises(CaejaxError, match=r"levels\.csv is damaged .* move it away"):
        measure_levels(sweep, [0.1])
    assert levels.read_text().endswith(",7\n")
    assert read_sweep(sweep).levels == []
    assert "the report goes without" in capsys.readouterr().err


TABLES = {
    "bytes that are no text": b"a,b\n\xff,1\n",
    "a line that is too long": b"a,b\n1,2,3\n",
    "a line that is too short": b"a,b\n1\n",
    "a column that is missing": b"a\n1\n",
    "an empty cell": b"a,b\n1,\n",
    "a word for a number": b"a,b\n1,x\n",
    "a word for a measure": b"a,b,test/psnr\n1,2,x\n",
    "an open quote": b'a,b\n"1,2\n',
    "nothing": b"",
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_tables_are_named(tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_bytes(TABLES[name])
    with pytest.raises(CaejaxError, match=r"table\.csv is damaged \(.*\); mend it"):
        read_csv(path, needed=("a",), numbers=("b",), mend="mend it")


def test_a_byte_order_mark_is_no_damage(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,x\r\n")
    assert read_csv(tmp_path / "table.csv", needed=("a",)) == [{"a": 1, "b": "x"}]


def test_damaged_lines_are_left_out_and_said(tmp_path, capsys):
    row = {"step": 4, "epoch": 1.0, "split": "val", "loss": 0.5}
    good = json.dumps(row).encode()
    text = good.replace(b"4", b'"4"')
    lines = [good, good[:9], b"7", b"{}", b"\xff", b"[" * 99_999, text]
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join([*lines, good, b""]))
    assert read_rows(path) == [row, row]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"note: {path} is damaged; left out: lines 2, 3, 4, 5, 6, 7"


def test_a_page_goes_without_an_environment(run, capsys):
    (run / "environment.json").write_text('{"time": 3}')
    with mutate.coarse_figures():
        report(run)
    assert "environment.json is damaged (it has no time)" in capsys.readouterr().err
    assert "How it was made" in (run / "report.html").read_text()


@pytest.mark.parametrize("spoil", [empty, no_text, a_list, folder])
def test_a_damaged_config_is_one_line(run, spoil):
    spoil(run / "config.json")
    for command in (loop.evaluate_again, loop.train):
        config = own_config() if command is loop.train else None
        with pytest.raises(CaejaxError, match=r"config\.json is damaged") as error:
            command(config, run)
        assert "\n" not in str(error.value)


def test_a_damaged_config_of_nothing_is_written_over(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xff")
    loop.train(own_config(), tmp_path, verbose=False)
    text = config_lib.to_json(own_config()) + "\n"
    assert (tmp_path / "config.json").read_text() == text


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    """As /dev/null does, which root could replace; and streams, as a shell's >(...)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    for path in (pipe, Path(f"/dev/fd/{end}")):
        write_atomically(path, "a text")
        assert os.read(end, 99) == b"a text"
    os.close(end)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_samples_that_memory_is_too_small_for_are_not_called_damaged(
    tmp_path, monkeypatch
):
    def load(file):
        raise MemoryError

    (tmp_path / "samples.npz").write_bytes(b"")
    monkeypatch.setattr(np, "load", load)
    with pytest.raises(MemoryError):
        read_samples(tmp_path)


def test_a_folder_in_a_file_s_place_is_kept(tmp_path):
    for i in range(2):
        (tmp_path / "a.txt").mkdir()
        (tmp_path / "a.txt" / str(i)).write_text("x")
        write_atomically(tmp_path / "a.txt", "text")
        (tmp_path / "a.txt").unlink()
    kept = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert list(map(str, kept)) == ["damaged/a.txt/0", "damaged/a.txt-2/1"]
    (tmp_path / "b").write_text("x")
    assert move_aside(tmp_path / "b", tmp_path / "damaged").name == "b"


def test_no_command_ends_in_a_traceback(made, tmp_path):
    """A few cases drawn at random; `helpers.mutate` does hundreds."""
    folder, scratch = tmp_path / "made", tmp_path / "scratch"
    folder.mkdir()
    mutate.make_folders(folder, made)
    with mutate.coarse_figures():
        for case in mutate.cases(folder, count=5, seed=3):
            outcome = mutate.try_case(case, folder, scratch)
            assert outcome.code in (0, 1), (case, outcome)
            assert "Traceback" not in outcome.output, (case, outcome)
            assert not outcome.changed, (case, outcome)
