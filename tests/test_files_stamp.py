"""Stamps of files and folders."""

import os

from caejax.files.stamp import stamp


def test_whatever_changes_in_a_folder_changes_its_stamp(tmp_path):
    path = tmp_path / "a" / "b.txt"
    path.parent.mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    stamps = [stamp(str(tmp_path))]
    path.write_text("one")
    stamps.append(stamp(str(tmp_path)))
    path.write_text("three")
    stamps.append(stamp(str(tmp_path)))
    os.utime(path, ns=(0, 7))
    stamps.append(stamp(str(tmp_path)))
    path.rename(path.with_name("c.txt"))
    stamps.append(stamp(str(tmp_path)))
    assert len(set(stamps)) == len(stamps)
    assert stamp(str(tmp_path)) == stamps[-1]


def test_what_is_not_there_has_a_stamp(tmp_path):
    missing = stamp(str(tmp_path / "a"))
    (tmp_path / "a").touch()
    assert stamp(str(tmp_path / "a")) != missing


def test_a_time_that_is_set_back_does_not_hide_a_change(tmp_path):
    file = tmp_path / "a"
    file.write_text("old")
    about, before = file.stat(), stamp(str(tmp_path))
    file.write_text("new")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert stamp(str(tmp_path)) != before
