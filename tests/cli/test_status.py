"""``deephpo status``: a run as its journal tells it, finished or not."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from deephpo.storage.journal import Journal
from deephpo.storage.records import Finished
from deephpo.storage.run_directory import RunDirectory
from tests.report.judged import judged


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


def test_several_objectives_have_a_front_beside_the_best(run_records, said, tmp_path):
    journal = Journal(RunDirectory(tmp_path).journal)
    journal.append(judged(run_records(0.5, 0.75, 0.625), "pace:also=max:acc"))
    journal.close()
    shown = said("status", tmp_path)
    assert "\n\nPareto front of loss (minimize) and acc (maximize):\n" in shown
    assert [trial["trial"] for trial in json.loads(said("status", tmp_path, "--json"))["front"]] == [0, 2]


@pytest.mark.parametrize("exit_code", [0, 75])
@pytest.mark.parametrize("rule", ["none", "pace:also=max:acc"])
def test_it_needs_the_standard_library_only(exit_code, rule, run_records, tmp_path):
    path = tmp_path
    journal = Journal(RunDirectory(path).journal)
    journal.append(judged(run_records(0.5, finished=False), rule))
    journal.close()
    journal = Journal(RunDirectory(path).journal, resume=True)
    journal.append([Finished(3.0, "it was so", exit_code)])
    journal.close()
    code = f"""
import sys
from deephpo.cli.main import main
main(["status", {str(path)!r}])
sys.exit("numpy" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_run_that_goes_on_says_so(run_directory, said):
    path = run_directory(0.5, None, finished=False)
    assert re.match(r"Running: last heard of \d s ago, 1 trial running\.\n", said("status", path))
    assert json.loads(said("status", path, "--json"))["finished"] is None


@pytest.mark.parametrize(
    ("age_s", "told"),
    [
        (-30, "Running: last heard of 0 s ago, 0 trials running."),
        (20, "Running: last heard of 20 s ago, 0 trials running."),
        (90, "Not heard of for 90 s, 0 trials running: probably killed."),
        (400, "Not heard of for 6 min, 0 trials running: probably killed."),
        (3 * 3600, "Not heard of for 3 h, 0 trials running: probably killed."),
        (40 * 86400, "Not heard of for 40 d, 0 trials running: probably killed."),
    ],
)
def test_a_run_that_was_not_heard_of_for_long_was_probably_killed(age_s, told, run_directory, said):
    path = run_directory(0.5, finished=False)
    now = time.time()
    os.utime(path / "journal.jsonl", (now, now - age_s - 0.5))
    assert said("status", path).startswith(told)


@pytest.mark.parametrize(
    ("age_s", "records", "goes_on"),
    [
        (20, [], False),
        (90, [], True),
        (20, [Finished(1.0, "stopped by SIGTERM", 75)], True),
        (90, [Finished(1.0, "all trials are done", 0)], False),
    ],
    ids=["running", "killed", "stopped", "done"],
)
def test_a_run_that_stopped_before_it_was_done_says_how_it_goes_on(
    age_s, records, goes_on, run_directory, said, monkeypatch
):
    path = run_directory(0.5, finished=False)
    journal = Journal(path / "journal.jsonl", resume=True)
    journal.repair()
    journal.append(records)
    journal.close()
    now = time.time()
    os.utime(path / "journal.jsonl", (now, now - age_s))
    shown = said("status", path)
    assert shown.endswith(f"\n\nGo on with: deephpo resume {path}\n") == goes_on
    assert ("Go on with" in shown) == goes_on
    RunDirectory(path).script.touch()
    for name in ("SLURM_JOB_ID", "PBS_JOBID"):
        monkeypatch.delenv(name, raising=False)
    assert (f"Go on with: deephpo submit {path} " in said("status", path)) == goes_on


def test_a_run_that_is_over_needs_no_sign_of_life(run_directory, said):
    assert said("status", run_directory(0.5)).startswith("1 trial in ")


def test_a_file_is_no_run_directory_but_may_be_in_one(run_directory, refusal):
    path = run_directory(0.5)
    journal = path / "journal.jsonl"
    assert f"{journal} is a file; name the run directory, such as {path}." in refusal("status", journal)


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


def test_a_job_whose_search_has_not_begun_is_no_mistaken_directory(refusal, tmp_path):
    RunDirectory(tmp_path).script.touch()
    told = refusal("status", tmp_path)
    assert (
        f"search has not begun: the job waits for nodes, or it failed to start: see {tmp_path}/job.out"
        in told
    )
    assert "deephpo search" not in told
