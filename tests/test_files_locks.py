"""Tests of locks."""

from caejax.files.locks import holding, sharing


def test_locks_exclude_others_until_they_are_released(tmp_path):
    path = tmp_path / "new" / "lock"
    with holding(path) as mine, holding(path, wait=False) as theirs:
        assert (mine, theirs) == (True, False)
    with holding(path, wait=False) as mine:
        assert mine
    with sharing(path) as first, sharing(path) as second:
        assert (first, second) == (True, False)
        with holding(path, wait=False) as mine:
            assert not mine
