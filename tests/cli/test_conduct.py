"""A session on a driver: its limits, its head and its end, and what happens when nothing can be written."""

import os
import sys
import threading
import time

import pytest

from deephpo.cli.main import main
from deephpo.errors import MissingPackageError
from deephpo.report import picture
from deephpo.storage.journal import Journal, JournalFullError, read_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState
from deephpo.worker import process as processes

GREEDY = """
import subprocess, sys, time
from deephpo import Float, Problem

def run(config, ctx):
    if ctx.trial_id == 1:
        sum(iter(int, 1))
    if ctx.trial_id == 3:
        code = "block = bytearray(300 << 20); import time; time.sleep(100)"
        subprocess.run([sys.executable, "-c", code])
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run{more})
"""


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def search(directory):
    """Return a function that runs a random search with two workers, and returns its exit code."""

    def run(problem, *words):
        words = ("--search", "random", "--workers", "2", "--run-dir", directory.path, *words)
        return main([str(word) for word in ("search", problem, *words)])

    return run


def failures(directory):
    state = RunState(read_journal(directory.journal))
    return {trial.id: trial.reason for trial in state.ended if trial.state is TrialState.FAILED}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", ["--trial-timeout", "1.5s", "--trial-memory", "200M"]),
        (", trial_timeout=1.5, trial_memory=200 * 2**20", []),
        (", trial_timeout=900, trial_memory=2**40", ["--trial-timeout", "1.5s", "--trial-memory", "200M"]),
    ],
    ids=["command line", "problem", "both"],
)
def test_limits_end_the_trials_that_break_them_and_no_others(
    more, words, search, problem_file, directory, monkeypatch
):
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    assert search(problem_file(GREEDY.format(more=more)), "--trials", 8, *words) == 0
    reasons = failures(directory)
    assert reasons.keys() == {1, 3}
    assert reasons[1] == "it ran longer than the trial timeout of 1.5 s"
    assert reasons[3].endswith("MiB of memory, more than the trial memory of 200 MiB")
    counts = RunState(read_journal(directory.journal)).counts
    assert counts[TrialState.COMPLETED] == 6


def test_limits_stand_in_the_journal_for_who_resumes(search, problem, directory, said):
    assert search(problem, "--trials", 2, "--trial-timeout", "5m", "--retries", 4) == 0
    said("resume", directory.path, "--trials", 3)
    options = RunState(read_journal(directory.journal)).options
    assert options["trial_timeout_s"] == {"value": 300.0, "origin": "command line"}
    assert options["retries"] == {"value": 4, "origin": "command line"}
    assert options["trial_memory_bytes"] == {"value": None, "origin": "default"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trial-timeout", "soon"], "'soon'"),
        (["--trial-timeout", "0"], "'0'"),
        (["--trial-memory", "lots"], "512M, 4G or 1.5T, not 'lots'"),
        (["--retries", "-1"], "--retries must be at least 0, not -1"),
    ],
)
def test_a_limit_that_is_none_is_refused(words, told, problem, refusal, directory):
    assert told in refusal("search", problem, *words, "--run-dir", directory.path)
    assert not directory.path.exists()


def test_a_journal_that_cannot_be_written_any_more_ends_the_search_so_that_it_can_be_resumed(
    search, problem, directory, capsys, monkeypatch, said
):
    append = Journal.append

    def full(journal, records):
        if os.fstat(journal.descriptor).st_size > 3000:
            raise JournalFullError("the journal cannot be written: No space left on device")
        append(journal, records)

    monkeypatch.setattr(Journal, "append", full)
    assert search(problem, "--trials", 20) == 75
    shown = capsys.readouterr().out
    assert "The search stops: the journal cannot be written: No space left on device." in shown
    assert f"Go on with: deephpo resume {directory.path}" in shown
    monkeypatch.undo()
    said("resume", directory.path)
    state = RunState(read_journal(directory.journal))
    assert +state.counts == {TrialState.COMPLETED: 20}
    assert sorted(state.trials) == list(range(20))


def test_in_the_job_of_a_submitted_search_how_it_goes_on_is_left_to_the_job_script(
    search, problem, directory, capsys, monkeypatch
):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("DEEPHPO_END_TIME", str(time.time() - 1))
    directory.path.mkdir()
    directory.script.touch()
    assert search(problem, "--trials", 20) == 75
    shown = capsys.readouterr().out
    assert f"In {directory.path}: " in shown
    assert "deephpo resume" not in shown
    assert "deephpo submit" not in shown


def test_a_journal_that_cannot_even_be_begun_leaves_no_thread_behind(search, problem, capsys, monkeypatch):
    def full(journal, records):
        raise JournalFullError("the journal cannot be written: No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    switch_s = sys.getswitchinterval()
    assert search(problem, "--trials", 20) == 75
    assert "The search stops: the journal cannot be written" in capsys.readouterr().out
    assert sys.getswitchinterval() == switch_s
    for thread in threading.enumerate():
        if thread.name == "suggester":
            thread.join(10)
            assert not thread.is_alive()


def test_a_picture_that_cannot_be_drawn_is_all_that_is_missing(
    search, problem, directory, capsys, monkeypatch
):
    def draw(state, path):
        raise MissingPackageError("matplotlib", "The picture", "plot")

    monkeypatch.setattr(picture, "draw", draw)
    assert search(problem, "--trials", 2) == 0
    shown = capsys.readouterr().out
    assert "No picture: The picture needs matplotlib" in shown
    assert shown.splitlines()[-1] == (
        f"In {directory.path}: results.csv, results.h5, journal.jsonl, config.yaml, log.txt"
    )


def test_there_are_no_more_workers_than_trials(problem, said, directory):
    shown = said("search", problem, "--trials", 1, "--workers", 5, "--run-dir", directory.path)
    assert "1 local worker " in shown
    assert len(RunState(read_journal(directory.journal)).workers) == 1


def test_what_a_trial_saves_in_its_grace_is_there_for_its_next_attempt(search, problem_file, directory, said):
    problem = problem_file("""
        import signal, time
        from deephpo import Float, Problem

        class Enough(Exception):
            pass

        def run(config, ctx):
            def enough(number, frame):
                raise Enough
            signal.signal(signal.SIGTERM, enough)
            state = ctx.directory / "state"
            if ctx.attempt:
                return float(state.read_text())
            try:
                time.sleep(100)
            except Enough:
                state.write_text("0.125")
                raise

        problem = Problem([Float("x", 0.0, 1.0)], run, resumable=True)
    """)
    began = time.monotonic()
    assert search(problem, "--trials", 2, "--time-limit", "2s") == 75
    assert time.monotonic() - began < 5
    said("resume", directory.path, "--time-limit", "60s")
    state = RunState(read_journal(directory.journal))
    assert [(trial.state, trial.value) for trial in state.ended] == [(TrialState.COMPLETED, 0.125)] * 2
