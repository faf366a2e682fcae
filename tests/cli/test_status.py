"""``deephpo status``: a run as its journal tells it, finished or not."""

import json

import pytest

from deephpo.storage.journal import Journal
from deephpo.storage.run_directory import RunDirectory


@pytest.fixture
def run_directory(run_records, tmp_path):
    """Return a function that writes a journal whose trials ended so, and returns its directory."""

    def write(*ends, **options):
        directory = RunDirectory(tmp_path)
        journal = Journal(directory.journal)
        journal.append(run_records(*ends, **options))
        journal.close()
        return tmp_path

    return write


def test_the_best_trials_come_first_and_failures_have_their_reasons(run_directory, said):
    path = run_directory(0.5, 0.25, "ValueError: too large", 0.125)
    shown = said("status", path, "--top", 2)
    assert "4 trials in 0:02: 3 completed, 1 failed" in shown
    assert "1 x ValueError: too large (trial 2 on node1)" in shown
    rows = [line.split()[:2] for line in shown.splitlines() if line[:1] == " " and "0." in line]
    assert rows[:2] == [["3", "0.125"], ["1", "0.25"]]
    assert "Best: loss = 0.125, trial 3 on worker 2 (node2)" in shown


def test_a_run_that_goes_on_says_so(run_directory, said):
    path = run_directory(0.5, None, finished=False)
    assert said("status", path).startswith("Not finished; running at the last word: 1.\n")
    assert json.loads(said("status", path, "--json"))["finished"] is None


@pytest.mark.parametrize(("top", "values"), [(1, [0.125]), (2, [0.125, 0.25]), (9, [0.125, 0.25, 0.5])])
def test_json_is_one_object_with_so_many_of_the_best(top, values, run_directory, said):
    path = run_directory(0.5, 0.25, "ValueError: too large", 0.125)
    status = json.loads(said("status", path, "--top", top, "--json"))
    assert [trial["value"] for trial in status["top"]] == values
    assert status["best"] == status["top"][0]
    assert {status[key] for key in ("trials", "completed", "failed", "exit_code")} == {4, 3, 1, 0}


def test_what_maximises_is_best_when_the_problem_maximises(run_directory, said):
    path = run_directory(0.5, 0.25, direction="maximize")
    assert json.loads(said("status", path, "--json"))["best"]["value"] == 0.5


def test_a_line_that_is_still_being_written_is_no_damage(run_directory, said):
    path = run_directory(0.5, finished=False)
    with open(path / "journal.jsonl", "a") as file:
        file.write('{"kind":"Ended","time')
    assert json.loads(said("status", path, "--json"))["completed"] == 1


def test_a_damaged_journal_is_refused_with_the_line(run_directory, refusal):
    path = run_directory(0.5)
    lines = (path / "journal.jsonl").read_text().splitlines()
    (path / "journal.jsonl").write_text("\n".join([lines[0], lines[1][:20], *lines[2:]]) + "\n")
    assert "line 2 is damaged" in refusal("status", path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status", "nowhere"], "There is no directory nowhere"),
        (["status", "."], "holds no run"),
        (["status", ".", "--top", "0"], "--top must be at least 1, not 0"),
    ],
)
def test_what_is_no_run_is_refused(words, told, refusal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told in refusal(*words)
