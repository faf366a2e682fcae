import os
from pathlib import Path

import pytest

from deephpo.errors import RunDirectoryError
from deephpo.storage.run_directory import RunDirectory, replacing


def test_a_new_directory_is_made_with_its_parents_and_empty(tmp_path):
    directory = RunDirectory(tmp_path / "runs" / "first")
    directory.create()
    assert list(directory.path.iterdir()) == []


def test_a_directory_with_other_files_is_accepted(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    RunDirectory(tmp_path).create()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_directory_that_holds_a_run_is_refused(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.journal.write_text("{}\n")
    with pytest.raises(RunDirectoryError, match="already holds a run; choose another --run-dir"):
        directory.create()


def test_an_empty_journal_is_no_run(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.journal.touch()
    directory.create()
    assert not directory.holds_run()


@pytest.mark.parametrize("place", ["file", "file/run", "file/deep/run", "long" * 100])
def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_half_made(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match=r"cannot be written \(.+\); choose another with --run-dir"):
        RunDirectory(tmp_path / place).create()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").is_file()


def test_a_directory_that_exists_but_takes_no_files_is_refused():
    with pytest.raises(RunDirectoryError, match="/proc cannot be written"):
        RunDirectory(Path("/proc")).create()


def test_reading_needs_a_directory_with_a_run_in_it(tmp_path):
    RunDirectory(tmp_path).journal.touch()
    RunDirectory(tmp_path).require()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing", "There is no directory"),
        ("file", "There is no directory"),
        ("file/below", "There is no directory"),
        ("long" * 100, "There is no directory"),
        ("empty", r"holds no run: there is no journal\.jsonl in it"),
        ("odd", "holds no run"),
        ("submitted", r"whose search has not begun: the job waits for nodes, .*: see .*/submitted/job\.out"),
    ],
)
def test_a_place_without_a_run_is_refused_for_reading(tmp_path, name, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd" / "journal.jsonl").mkdir(parents=True)
    (tmp_path / "submitted").mkdir()
    (tmp_path / "submitted" / "job.sh").touch()
    with pytest.raises(RunDirectoryError, match=sentence):
        RunDirectory(tmp_path / name).require()


def test_all_files_have_names_of_their_own_inside_the_directory(tmp_path):
    directory = RunDirectory(tmp_path)
    names = [name for name, value in vars(RunDirectory).items() if isinstance(value, property)]
    paths = {getattr(directory, name) for name in names}
    assert len(paths) == len(names) == 11
    assert {path.parent for path in paths} == {tmp_path}


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["results.csv"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.csv"]
