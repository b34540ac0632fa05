import csv

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
