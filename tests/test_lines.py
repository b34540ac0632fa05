"""What people are shown, whatever is in the names that it tells of."""

import csv
import html.parser
import io
import os
import re
import sys

import pytest
from helpers.finished import write, write_run

from caejax.errors import print_error
from caejax.files.atomic import replacing, write_atomically
from caejax.files.csv_files import read_csv, write_csv
from caejax.report.report import report
from caejax.report.tables import to_latex, to_markdown
from caejax.terminal.lines import broken, printable, tell, write_any_text

BYTES = os.fsdecode(b"caf\xe9")
NAMES = (
    *('a,b"c', "x|y", "nl\nx", "tab\tx", "\x1b[2Jx", "<script>alert(1)</script>"),
    *("a\rb", "\r\n", "007", "1_000", "٣"),
    *(BYTES, "😀\u202ex", "$x_#%&{}~^\\", "'", "bell\x07", "nel\x85ls\u2028"),
)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_acts_on_a_terminal(name, capsys):
    line = printable(name)
    assert line.encode("utf-8").decode() == line
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)
    assert "\u202e" not in line
    tell(name)
    print_error(name)
    out, err = capsys.readouterr()
    assert out.count("\n") == err.count("\n") == 1


def test_units_stay_with_their_numbers_where_lines_are_broken():
    text = "layer a draws 100 % of it, b 38 %, and 5.2 dB"
    for width in range(10, 50):
        lines = broken(text, width).splitlines()
        assert " ".join(lines) == text
        assert not any(line.startswith(("%", "dB")) for line in lines)
        assert max(map(len, lines)) <= width
    assert broken(text, None) == text


def test_plain_text_stays_as_it_is():
    text = "PSNR 20.1 dB, für 128×128 — 日本 👩‍💻"
    assert printable(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_takes_any_text(encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    write_any_text()
    for name in NAMES:
        tell(name)
        print(name)
    stream.flush()
    assert b"\\u" in stream.buffer.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_tables_hold_any_name(name, tmp_path):
    row = {"run_id": "0123456789", "data.name": name, "error": name}
    write_csv(tmp_path / "a.csv", [row, row])
    (tmp_path / "a.csv").read_bytes().decode("utf-8")
    shown = "caf\\udce9" if name == BYTES else name
    rows = read_csv(tmp_path / "a.csv", needed=("data.name", "error"))
    assert [row["data.name"] for row in rows] == [shown, shown]
    cells = [[printable(name), "1"]]
    (head, _, line, end) = to_markdown(["a|b", "n"], cells).split("\n")
    assert end == ""
    assert line.replace("\\|", "").count("|") == head.replace("\\|", "").count("|") == 3
    latex = to_latex(["a", "n"], [[name, "1"]])
    assert all(c < "\u0180" for c in latex)
    row = latex.splitlines()[6].removesuffix(r" & 1 \\")
    plain = re.sub(r"\\(text[a-z]+\{\}|[&%$#_{}])", "", row)
    assert not set(plain) & set("&%$#_{}~^\\<>|")
    assert latex.count("\n") == to_latex(["a", "n"], [["b", "1"]]).count("\n")


def test_code_in_cells_of_markdown_stays_code():
    text = to_markdown(["`a|b`"], [["*a* `b*c` <d>, `e"]])
    assert text == "| `a\\|b` |\n| --- |\n| \\*a\\* `b*c` \\<d>, \\`e |\n"


def test_long_names_are_written_to(tmp_path):
    path = tmp_path / ("e" * 251 + ".txt")
    write_atomically(path, "x")
    with replacing(path) as file:
        file.write(b"y")
    assert path.read_bytes() == b"y"
    assert len(list(tmp_path.iterdir())) == 1


class Scripts(html.parser.HTMLParser):
    """Counts what would be run, and keeps all text."""

    def __init__(self):
        super().__init__()
        self.count, self.text = 0, ""

    def handle_starttag(self, tag, attrs):
        """Counts scripts."""
        self.count += tag == "script" or any(name[:2] == "on" for name, _ in attrs)

    def handle_data(self, data):
        """Keeps text."""
        self.text += data


def test_a_report_shows_any_name_and_any_error(tmp_path, capsys):
    workdir = tmp_path / "a\x1b[2J|<script>\udce9"
    about = {"time": "2026", "command": "caejax \x1b[2J", "packages": {}}
    config = {
        "seed": 0,
        "corruption": {"name": "gaussian", "level": 0.5},
        "model": {"encoder": "conv"},
    }
    axis = {"field": "data.dir", "values": NAMES}
    write(workdir / "config.json", config | {"sweep": {"x": axis}})
    write(workdir / "environment.json", about)
    rows = []
    for i, name in enumerate(NAMES):
        row = {"run_id": f"run{i}", "data.dir": name, "seed": 0}
        rows.append(row | {"status": "failed", "error": f"</td>{name}"})
        if i % 2:
            rows[-1] |= {"status": "done", "error": "", "test/psnr": 20.0}
            run = workdir / "runs" / f"run{i}"
            write(run / "config.json", config | {"data": {"dir": name}})
            write(run / "summary.json", {"test/psnr": 20.0})
            write_run(run, {"test/psnr": 20.0})
    write_csv(workdir / "results.csv", rows)
    report(workdir)
    page = Scripts()
    page.feed((workdir / "report.html").read_bytes().decode())
    assert page.count == 1  # the page's own
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page.text)
    for name in NAMES[::2]:
        shown = "caf\\udce9" if name == BYTES else printable(name)
        assert f"</td>{shown}" in page.text
    lines = (workdir / "tables" / "results.md").read_text().splitlines()
    assert len(lines) == 2 + len(NAMES) // 2
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    with (workdir / "results.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + len(NAMES)
    assert "\x1b" not in capsys.readouterr().out
