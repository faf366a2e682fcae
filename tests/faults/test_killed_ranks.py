"""Workers killed at random moments under ULFM: each costs its trial a retry, and nothing else."""

import psutil

from deephpo.storage.journal import read_journal
from deephpo.storage.records import WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

WORKERS = 7
TRIALS = 60
MOST_KILLED = 5


def kill_some(jobs, process, directory, dice):
    """Kill one or some workers at random moments; returns how many."""
    journal = RunDirectory(directory).journal
    assert jobs.wait_until(lambda: journal.exists() and b'"Started"' in journal.read_bytes())
    victims = dice.sample(jobs.ranks_of(process, directory)[1:], dice.randint(1, MOST_KILLED))
    killed = 0
    for victim in victims:
        if jobs.wait_until(lambda: process.poll() is not None, dice.uniform(0.0, 0.4)):
            break  # the search was faster
        try:
            victim.kill()
            killed += 1
        except psutil.NoSuchProcess:
            break
    return killed


def test_a_search_outlives_its_workers(jobs, sleeper, tmp_path, dice, figure):
    runs, killed, said = 30 if jobs.long else 4, 0, 0
    for run in range(runs):
        directory = tmp_path / f"run-{run}"
        search = [jobs.deephpo, "search", sleeper, "--trials", TRIALS, "--seed", run, "--run-dir", directory]
        # One trial may happen to lose all of them, one after the other.
        search += ["--retries", MOST_KILLED]
        process = jobs.start(*jobs.ulfm, WORKERS + 1, *search)
        killed += kill_some(jobs, process, directory, dice)
        family = jobs.descendants(process)
        assert jobs.finish(process, 90) == 0
        records = list(read_journal(RunDirectory(directory).journal))
        said += sum(isinstance(record, WorkerLost) for record in records)
        assert RunState(records).counts[TrialState.COMPLETED] == TRIALS
        assert jobs.gone(family)
    figure(
        f"{killed} of {runs * WORKERS} workers killed in {runs} runs: all ended with 0 and {TRIALS} trials"
    )
    figure(f"the master spoke of {said} of them; the others died after their last message")
    assert killed >= runs
