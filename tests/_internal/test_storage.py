import os

import pytest

from lstm_jax._internal import storage
from tests import faults


def write(path, text):
    with storage.replacing(path, "w") as file:
        file.write(text[:3])
        file.write(text[3:])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the killed
def test_a_file_is_the_old_one_or_the_new_one_whenever_its_writer_is_killed(tmp_path):
    path, found = tmp_path / "a.json", []
    write(path, "the old one")
    for _ in faults.kills(lambda: write(path, "the new one"), storage):
        found.append(path.read_text())
        write(path, "the old one")
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert set(found) == {"the old one", "the new one"}
    assert found == sorted(found, reverse=True) and path.read_text() == "the new one"


def test_a_disk_that_is_full_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write(path, "the old one")
    for size in range(len("the new one")):
        with faults.full_at(size), pytest.raises(OSError, match="File too large"):
            write(path, "the new one")
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            faults.failing(patch, os, name, 0)
            with pytest.raises(OSError, match="No space left"):
                write(path, "the new one")
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["the old one"]


def test_two_writers_of_one_file_leave_one_of_them_whole(tmp_path):
    path = tmp_path / "a.json"
    with storage.replacing(path, "w") as first:
        first.write("fir")
        write(path, "second")
        assert path.read_text() == "second"
        first.write("st")
    assert path.read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_files_of_others_beside_it_stay(tmp_path):
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("mine")
    names = ("a.json.tmp", "a.json.part", "b.json.01234567.lstm_jax-part", "a.json.lstm_jax-part")
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / "a.json.01234567.lstm_jax-part").symlink_to(elsewhere)
    (tmp_path / "a.json.89abcdef.lstm_jax-part").mkdir()
    before = {entry.name for entry in tmp_path.iterdir()}
    write(tmp_path / "a.json", "text")
    assert {entry.name for entry in tmp_path.iterdir()} == before | {"a.json"}
    assert all((tmp_path / name).read_text() == "mine" for name in (*names, elsewhere.name))
