"""``deephpo resume``: what was killed goes on, what is whole gets more, and what changed is refused."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from deephpo.cli.main import main
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Asked, Begun, Ended, Finished, Resumed, Started, Suggested
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

PROGRAM = Path(sys.executable).with_name("deephpo")

DIARY = """
import time
from deephpo import Float, Problem

def run(config, ctx):
    with open(ctx.directory / "attempts", "a") as file:
        file.write(f"{{ctx.attempt}} ")
    time.sleep({seconds})
    return {{"objective": (config["x"] - 0.3) ** 2, "attempt": ctx.attempt}}

problem = Problem([Float("x", {bounds})], run{more})
"""


@pytest.fixture
def diary(problem_file):
    """Return a function that writes a problem whose trials note how often they were started."""

    def write(seconds=0.0, bounds="0.0, 1.0", more=""):
        return problem_file(DIARY.format(seconds=seconds, bounds=bounds, more=more))

    return write


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def killed():
    """Return a function that starts ``deephpo`` and kills its process group at a moment of the journal."""

    def run(journal, kind, count, *words, within_s=30):
        line = [str(word) for word in (PROGRAM, *words)]
        before = len(list(read_journal(journal))) if journal.exists() else 0
        with subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL) as search:
            deadline = time.monotonic() + within_s
            while time.monotonic() < deadline and search.poll() is None:
                records = list(read_journal(journal))[before:] if journal.exists() else []
                if sum(isinstance(record, kind) for record in records) >= count:
                    break
                time.sleep(0.002)
            children = psutil.Process(search.pid).children(recursive=True)
            os.killpg(search.pid, signal.SIGKILL)
        assert search.returncode == -signal.SIGKILL, "it was over before that moment"
        assert psutil.wait_procs(children, timeout=10)[1] == []

    return run


@pytest.fixture
def searched(diary, directory, said):
    """Return a finished search of four trials, and the function that rewrites its problem."""
    words = ("--trials", 4, "--search", "random", "--seed", 1, "--workers", 1)
    said("search", diary(), *words, "--run-dir", directory.path)
    return diary


def records_of(directory, kind):
    return [record for record in read_journal(directory.journal) if isinstance(record, kind)]


def check_complete(directory, trials):
    """Check that each trial was settled once, and knew how often it had been started before."""
    state = RunState(read_journal(directory.journal))
    assert +state.counts == Counter({TrialState.COMPLETED: trials})
    assert sorted(state.trials) == list(range(trials))
    ends = [record.outcome for record in records_of(directory, Ended)]
    settled = [outcome.trial_id for outcome in ends if outcome.state is not TrialState.PREEMPTED]
    assert sorted(settled) == list(range(trials))
    starts = Counter(record.trial_id for record in records_of(directory, Started))
    for trial in state.ended:
        assert trial.metrics["attempt"] == starts[trial.id] - 1
        attempts = (directory.trials / f"{trial.id:06d}" / "attempts").read_text().split()
        assert attempts[-1] == str(starts[trial.id] - 1)
        assert set(attempts) <= {str(k) for k in range(starts[trial.id])}
    assert len(directory.table.read_text().splitlines()) == trials + 1
    return state


def test_a_search_that_is_killed_again_and_again_does_every_trial_once(diary, directory, killed, deephpo):
    moments = random.Random(1)
    words = ("--trials", 24, "--initial", 6, "--workers", 2, "--run-dir", directory.path)
    killed(directory.journal, Ended, moments.randint(1, 5), "search", diary(0.1), *words)
    for kind in (Resumed, moments.choice([Asked, Suggested, Started, Ended])):
        killed(directory.journal, kind, 1, "resume", directory.path)
    ended = deephpo("resume", directory.path)
    assert (ended.returncode, ended.stderr) == (0, "")
    state = check_complete(directory, 24)
    assert any(trial.metrics["attempt"] for trial in state.ended)
    assert len(records_of(directory, Resumed)) == 3


def test_a_killed_search_with_one_worker_goes_on_exactly_as_it_would_have(
    diary, directory, killed, deephpo, tmp_path
):
    problem = diary(0.02)
    words = ("--trials", 14, "--initial", 5, "--seed", 3, "--workers", 1, "--run-dir")
    assert deephpo("search", problem, *words, tmp_path / "whole").returncode == 0
    killed(directory.journal, Ended, 7, "search", problem, *words, directory.path)
    assert deephpo("resume", directory.path).returncode == 0
    whole, pieces = (
        [(trial.id, trial.config, trial.value) for trial in RunState(read_journal(run.journal)).ended]
        for run in (RunDirectory(tmp_path / "whole"), directory)
    )
    assert pieces == whole


def test_a_search_that_was_killed_before_its_first_trial_can_be_resumed(diary, directory, killed, deephpo):
    words = ("--trials", 5, "--search", "random", "--workers", 2, "--run-dir", directory.path)
    killed(directory.journal, Begun, 1, "search", diary(), *words)
    assert deephpo("resume", directory.path).returncode == 0
    check_complete(directory, 5)


def test_a_killed_synchronous_search_goes_on_batch_by_batch(diary, directory, killed, deephpo):
    words = ("--trials", 14, "--search", "random", "--synchronous", "--workers", 3, "--run-dir")
    killed(directory.journal, Ended, 5, "search", diary(0.05), *words, directory.path)
    assert deephpo("resume", directory.path).returncode == 0
    state = check_complete(directory, 14)
    assert state.options["synchronous"] == {"value": True, "origin": "command line"}
    owed, batch_has_results = set(), False
    for record in read_journal(directory.journal):
        match record:
            case Asked():
                assert not (owed and batch_has_results)
                batch_has_results = False
            case Suggested():
                owed |= {trial.id for trial in record.trials}
            case Ended(outcome=outcome) if outcome.state is not TrialState.PREEMPTED:
                owed.remove(outcome.trial_id)
                batch_has_results = True


def test_a_search_that_is_done_is_done(searched, directory, said):
    before = directory.journal.read_bytes()
    for words in ((), ("--trials", 4), ("--driver", "simulated")):
        first, second = said("resume", directory.path, *words).splitlines()
        assert first == f"The search in {directory.path} has nothing left to do: all 4 trials are done."
        assert second.startswith("It goes on with more --trials, ")
        assert second.endswith(f" Its results: deephpo status {directory.path}")
    assert directory.journal.read_bytes() == before


def test_a_search_without_a_success_that_is_done_keeps_its_exit_code(problem_file, directory, deephpo):
    source = DIARY.format(seconds=0.0, bounds="0.0, 1.0", more="").replace("return {", "return 1 / 0, {")
    words = ("--trials", 2, "--search", "random", "--workers", 1, "--run-dir", directory.path)
    assert deephpo("search", problem_file(source), *words).returncode == 3
    ended = deephpo("resume", directory.path)
    assert ended.returncode == 3
    assert "has nothing left to do: " in ended.stdout


def test_a_search_that_was_killed_before_it_said_that_it_is_done_writes_its_files(searched, directory, said):
    whole = directory.journal.read_bytes().splitlines(keepends=True)
    directory.journal.write_bytes(b"".join(whole[:-1]))
    assert len(records_of(directory, Finished)) == 0
    directory.table.unlink()
    shown = said("resume", directory.path)
    assert "1 local worker " in shown
    assert "resumed: 4 trials done, 0 wait to go out" in shown
    assert "Ended: all 4 trials are done" in shown
    check_complete(directory, 4)


def test_more_trials_extend_a_search(searched, directory, said):
    shown = said("resume", directory.path, "--trials", 9, "--workers", 2)
    assert "resumed: 4 trials done" in shown
    state = check_complete(directory, 9)
    assert state.options["trials"] == {"value": 9, "origin": "command line"}
    # What was extended stays so.
    said("resume", directory.path, "--workers", 1)
    check_complete(directory, 9)


def test_a_search_can_be_resumed_in_virtual_time(searched, directory, said):
    shown = said("resume", directory.path, "--trials", 9, "--driver", "simulated", "--workers", 3)
    assert "Ended: all 9 trials are done" in shown
    check_complete(directory, 9)


class TestChanges:
    def test_a_change_that_does_no_harm_is_to_be_accepted(self, searched, directory, refusal, said):
        searched(bounds="-1.0, 1.0")
        sentence = refusal("resume", directory.path, "--trials", 8)
        assert "the bounds of 'x' were 0 to 1 and are -1 to 1" in sentence
        assert "--accept-changes" in sentence
        said("resume", directory.path, "--trials", 8, "--accept-changes", "--workers", 2)
        state = check_complete(directory, 8)
        assert state.declaration.space.by_name["x"].low == -1.0
        # Once is enough.
        said("resume", directory.path, "--trials", 10, "--workers", 2)
        check_complete(directory, 10)

    def test_an_unchanged_problem_needs_no_acceptance(self, searched, directory, said):
        said("resume", directory.path, "--accept-changes", "--workers", 1)

    @pytest.mark.parametrize("accept", [[], ["--accept-changes"]])
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"bounds": "0.1, 1.0"}, "the bounds of 'x' were 0 to 1 and are 0.1 to 1, which is narrower"),
            ({"more": ", objective='loss'"}, "the objective was 'objective' and is 'loss'"),
            ({"more": ", direction='maximize'"}, "the direction was 'minimize' and is 'maximize'"),
            ({"bounds": "0.1, 1.0, log=True"}, "'x' has another scale or step"),
        ],
    )
    def test_a_change_that_does_harm_is_refused(self, change, told, accept, searched, directory, refusal):
        before = directory.journal.read_bytes()
        searched(**change)
        sentence = refusal("resume", directory.path, "--trials", 8, *accept)
        assert told in sentence
        assert directory.journal.read_bytes() == before

    def test_a_problem_that_is_not_there_any_more_is_missed(self, searched, directory, refusal, tmp_path):
        (tmp_path / "task.py").unlink()
        assert f"There is no file {tmp_path}/task.py" in refusal("resume", directory.path)


class TestRefusals:
    def test_a_directory_without_a_run(self, tmp_path, refusal):
        for place in ("nowhere", "empty"):
            (tmp_path / "empty").mkdir(exist_ok=True)
            assert str(tmp_path / place) in refusal("resume", tmp_path / place)
        assert list((tmp_path / "empty").iterdir()) == []
        assert not (tmp_path / "nowhere").exists()

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--trials", "0"], "--trials must be at least 1, not 0"),
            (["--workers", "0"], "--workers must be at least 1, not 0"),
            (["--time-limit", "soon"], "'soon'"),
            (["--driver", "mpi"], "mpirun -n 2"),
        ],
    )
    def test_a_wrong_option(self, words, told, searched, directory, refusal):
        before = directory.journal.read_bytes()
        assert told in refusal("resume", directory.path, *words)
        assert directory.journal.read_bytes() == before

    def test_a_search_that_runs(self, diary, directory, refusal):
        words = ("--workers", "1", "--trials", "3", "--run-dir", directory.path)
        with subprocess.Popen([PROGRAM, "search", diary(600), *words], stdout=subprocess.DEVNULL) as search:
            deadline = time.monotonic() + 30
            while not directory.journal.exists() or not records_of(directory, Started):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            sentence = refusal("resume", directory.path)
            search.kill()
        assert sentence == (
            f"deephpo: Another search is writing to {directory.journal}; wait for its end, or end it."
        )

    def test_a_damaged_journal_is_named_with_its_line(self, searched, directory, refusal):
        lines = directory.journal.read_bytes().splitlines(keepends=True)
        lines[3] = lines[3].replace(b":", b";", 1)
        directory.journal.write_bytes(b"".join(lines))
        assert f"{directory.journal}: line 4 is damaged" in refusal("resume", directory.path)


class TestTheEndOfTheTime:
    @pytest.fixture(autouse=True)
    def _no_job(self, monkeypatch):
        for name in ("DEEPHPO_END_TIME", "SLURM_JOB_END_TIME"):
            monkeypatch.delenv(name, raising=False)

    @staticmethod
    def reason(directory):
        finished = RunState(read_journal(directory.journal)).finished
        return finished.reason, finished.exit_code

    def search(self, problem, directory, *words):
        words = ("--search", "random", "--workers", "2", "--run-dir", directory.path, *words)
        return main([str(word) for word in ("search", problem, *words)])

    def test_a_search_for_a_time_ends_as_asked_and_gets_more_time(self, diary, directory, said):
        assert self.search(diary(0.2), directory, "--time-limit", "1.5") == 0
        reason, exit_code = self.reason(directory)
        assert "the time is up" in reason
        assert exit_code == 0
        before = RunState(read_journal(directory.journal)).done
        said("resume", directory.path, "--time-limit", "2s", "--workers", "2")
        state = RunState(read_journal(directory.journal))
        assert state.done > before
        assert state.now_s == pytest.approx(3.5, abs=1.0)

    def test_whichever_of_trials_and_time_comes_first_ends_it(self, diary, directory, said):
        problem = diary(0.2)
        assert self.search(problem, directory, "--time-limit", "1.2", "--trials", "15") == 75
        said("resume", directory.path, "--time-limit", "60", "--workers", "2")
        check_complete(directory, 15)

    def test_the_time_left_of_a_resumed_search_is_its_own(self, diary, directory, monkeypatch, capsys):
        assert self.search(diary(0.2), directory, "--time-limit", "3", "--trials", "999") == 75
        monkeypatch.setattr("deephpo.cli.progress.PLAIN_INTERVAL_S", 0.2)
        capsys.readouterr()
        assert main(["resume", str(directory.path), "--time-limit", "3", "--workers", "2"]) == 75
        assert "0:02 left" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("variable", "words"),
        [
            ("DEEPHPO_END_TIME", []),
            ("SLURM_JOB_END_TIME", ["--time-limit", "100"]),
            ("SLURM_JOB_END_TIME", ["--trials", "9999"]),
        ],
    )
    def test_the_end_of_the_job_is_no_end_that_was_asked_for(
        self, variable, words, diary, directory, monkeypatch
    ):
        problem = diary(0.1)
        monkeypatch.setenv(variable, str(int(time.time()) + 3))
        began = time.monotonic()
        assert self.search(problem, directory, *words) == 75
        assert time.monotonic() - began < 6
        assert self.reason(directory)[0].endswith(("the time is up", "before the time is up"))

    def test_a_job_that_is_over_already_starts_no_trial(self, diary, directory, monkeypatch):
        monkeypatch.setenv("DEEPHPO_END_TIME", "1000000000")
        assert self.search(diary(0.1), directory) == 75
        assert records_of(directory, Ended) == []

    def test_an_end_that_is_no_time_is_refused(self, diary, directory, monkeypatch, refusal):
        monkeypatch.setenv("SLURM_JOB_END_TIME", "soon")
        sentence = refusal("search", diary(), "--run-dir", directory.path)
        assert sentence.startswith("deephpo: SLURM_JOB_END_TIME must be a time in seconds since the epoch")
        assert not directory.path.exists()

    def test_trials_that_look_stop_in_time_and_count(self, diary, directory, problem_file):
        problem = problem_file("""
            import time
            from deephpo import Float, Problem

            def run(config, ctx):
                while not ctx.should_stop():
                    assert ctx.time_left() <= 20
                    time.sleep(0.01)
                return {"objective": config["x"], "left": ctx.time_left()}

            problem = Problem([Float("x", 0.0, 1.0)], run)
        """)
        assert self.search(problem, directory, "--time-limit", "4") == 0
        state = RunState(read_journal(directory.journal))
        assert state.counts[TrialState.COMPLETED] >= 2
        first = [trial for trial in state.ended if trial.id < 2]
        assert [trial.state for trial in first] == [TrialState.COMPLETED] * 2
        assert all(0.0 < trial.metrics["left"] <= 0.2 for trial in first)
        assert state.finished.time_s < 4.5
