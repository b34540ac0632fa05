"""What people are shown, whatever is in the names that it tells of."""

import io
import os
import sys

import pytest

from caejax.errors import print_error
from caejax.files.atomic import replacing, write_atomically
from caejax.files.csv_files import read_csv, write_csv
from caejax.report.tables import to_latex, to_markdown
from caejax.terminal.lines import printable, tell, write_any_text

BYTES = os.fsdecode(b"caf\xe9")
NAMES = (
    *('a,b"c', "x|y", "nl\nx", "tab\tx", "\x1b[2Jx", "<script>alert(1)</script>"),
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
    rows = read_csv(tmp_path / "a.csv")
    assert [row["data.name"] for row in rows] == [shown, shown]
    cells = [[printable(name), "1"]]
    (head, _, line, end) = to_markdown(["a|b", "n"], cells).split("\n")
    assert end == ""
    assert line.replace("\\|", "").count("|") == head.replace("\\|", "").count("|") == 3
    latex = to_latex(["a", "n"], cells)
    assert latex.count("\n") == to_latex(["a", "n"], [["b", "1"]]).count("\n")


def test_long_names_are_written_to(tmp_path):
    path = tmp_path / ("e" * 251 + ".txt")
    write_atomically(path, "x")
    with replacing(path) as file:
        file.write(b"y")
    assert path.read_bytes() == b"y"
    assert len(list(tmp_path.iterdir())) == 1
