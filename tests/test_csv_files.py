import csv

import pytest

from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv


def test_files_have_the_columns_of_all_rows(tmp_path):
    path = tmp_path / "results.csv"
    rows = [{"run_id": "a", "seed": 0, "error": 'say, "no"'}, {"run_id": "b", "x": 1.5}]
    write_csv(path, rows)
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"run_id": "a", "seed": "0", "error": 'say, "no"', "x": ""},
            {"run_id": "b", "seed": "", "error": "", "x": "1.5"},
        ]
    assert read_csv(path) == rows


def test_hashes_stay_text_and_named_fields_may_be_empty(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("run_id,setting,name,step,x\n12e4567890,1234567890,,30,-1e-3\n")
    row = {"run_id": "12e4567890", "setting": "1234567890", "step": 30, "x": -1e-3}
    assert read_csv(path) == [row]
    assert read_csv(path, ["name"]) == [row | {"name": ""}]
    assert read_csv(tmp_path / "none.csv") == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\n;;\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_spreadsheet_s_files_are_read(encoding, end, tmp_path):
    path = tmp_path / "a.csv"
    rows = [{"run_id": "12e4", "name": "a, b", "test/psnr": 20.5}]
    for line in ('12e4;"a, b";20,5', '"12e4";"a, b";"20,5"', "12e4;a, b;20.5"):
        path.write_bytes(f"run_id;name;test/psnr\n{line}{end}".encode(encoding))
        assert read_csv(path, numbers=["test/psnr"]) == rows
    if end == "\n":
        path.write_bytes('run_id\tname\ttest/psnr\n12e4\ta, b\t"20,5"'.encode(encoding))
        assert read_csv(path) == rows


def test_a_spreadsheet_s_numbers_that_are_none_are_one_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("run_id;test/psnr\na;1.234,5\n")
    with pytest.raises(CaejaxError, match=r"row 1 has '1\.234,5' for test/psnr"):
        read_csv(path)
