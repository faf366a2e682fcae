"""SIGKILL at random moments, then resume: nothing that was reported is lost, nothing is done twice."""

import json
from collections import Counter

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import TrialState

TRIALS = 30


def settled(directory):
    """Return the ids of the trials that the journal has as settled, as often as it has them."""
    journal = RunDirectory(directory).journal
    if not journal.exists():
        return Counter()
    return Counter(
        record.outcome.trial_id
        for record in read_journal(journal)
        if isinstance(record, Ended) and record.outcome.state is not TrialState.PREEMPTED
    )


def begun(directory):
    """Return whether the journal has its first record."""
    journal = RunDirectory(directory).journal
    return journal.exists() and next(read_journal(journal), None) is not None


def commands(jobs, sleeper, directory, turn):
    """Return how to begin and how to go on: three times with local processes, then once over MPI."""
    launch = [*jobs.ulfm, 4] if turn % 4 == 3 else []
    workers = [] if launch else ["--workers", 3]
    search = [*launch, jobs.deephpo, "search", sleeper, "--trials", TRIALS, "--seed", turn, *workers]
    return [*search, "--run-dir", directory], [*launch, jobs.deephpo, "resume", directory, *workers]


def test_every_reported_trial_is_there_exactly_once(jobs, sleeper, tmp_path, dice, figure):
    kills, runs, lost, twice = 0, 0, 0, 0
    while kills < (100 if jobs.long else 12):
        directory = tmp_path / f"run-{runs}"
        search, resume = commands(jobs, sleeper, directory, runs)
        reported, exit_code, patience_s = Counter(), None, 4.0
        while exit_code != 0:
            if not begun(directory):  # killed before the first record: there is nothing to resume
                RunDirectory(directory).journal.unlink(missing_ok=True)
            process = jobs.start(*(resume if begun(directory) else search))
            if jobs.wait_until(lambda p=process: p.poll() is not None, dice.uniform(0.8, patience_s)):
                exit_code = process.returncode
                assert exit_code == 0
            else:
                jobs.kill_all(process)
                kills += 1
            now = settled(directory)
            # On a busy machine a search may be killed before it gets anywhere, again and again.
            patience_s = 4.0 if now.keys() - reported.keys() else 1.5 * patience_s
            lost += len(reported.keys() - now.keys())
            reported = now
        runs += 1
        twice += sum(count > 1 for count in reported.values())
        assert sorted(reported) == list(range(TRIALS))
        lines = RunDirectory(directory).journal.read_text().splitlines()
        assert all(json.loads(line)["kind"] for line in lines)
    figure(f"search killed {kills} times in {runs} runs of {TRIALS} trials: {lost} lost, {twice} done twice")
    assert (lost, twice) == (0, 0)


def test_a_killed_search_leaves_no_process_behind(jobs, sleeper, tmp_path):
    directory = tmp_path / "run"
    search, resume = commands(jobs, sleeper, directory, 0)
    process = jobs.start(*search)
    assert jobs.wait_until(lambda: settled(directory))
    children = jobs.descendants(process)
    process.kill()
    process.wait()
    assert jobs.gone(children)
    assert jobs.finish(jobs.start(*resume), 60) == 0
