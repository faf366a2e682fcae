import os
import shutil
import time
from argparse import Namespace
from pathlib import Path

import pytest

from deephpo.cli.options import resolve
from deephpo.cli.session import begin
from deephpo.drivers import keeper as keepers
from deephpo.drivers.local import LocalDriver, cores_here
from deephpo.engine.events import Start, TrialEnded, TrialReported, WorkerGone, WorkerReady
from deephpo.engine.suggester import ThreadedSuggester
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Trial, TrialState
from deephpo.worker.workplace import Workplace

SOURCE = """
import os, time
from deephpo import Float, Problem, Space

def run(config, ctx):
    print("trial", ctx.trial_id)
    ctx.report(1, pid=os.getpid())
    time.sleep(0.02)
    {body}
    return {{"loss": config["x"] ** 2, "pid": os.getpid()}}

problem = Problem(Space([Float("x", -1.0, 1.0)]), run, objective="loss")
"""


@pytest.fixture
def search(problem_file, tmp_path):
    """Return a function that searches with real children, and returns the exit code and the records."""

    def search(body="pass", *, workers=2, watchers=(), **options):
        target = problem_file(SOURCE.format(body=body))
        given = resolve(Namespace(search="random", seed=1, **({"trials": 10} | options)))
        session = begin(target, given, tmp_path / "run")
        workplace = Workplace(target, str(tmp_path / "trials"), str(tmp_path / "output"))
        driver, suggester = LocalDriver(workplace, workers), ThreadedSuggester(session.search)
        exit_code = session.run(driver, suggester, watchers, workers=workers)
        return exit_code, list(read_journal(session.directory.journal))

    return search


def ended(records):
    return {r.outcome.trial_id: r.outcome for r in records if isinstance(r, Ended)}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_runs_every_trial_once_in_warm_children(search, tmp_path, workers):
    exit_code, records = search(workers=workers)
    assert exit_code == 0
    outcomes = ended(records)
    assert {o.state for o in outcomes.values()} == {TrialState.COMPLETED}
    assert set(outcomes) == set(range(10))
    assert len({o.metrics["pid"] for o in outcomes.values()}) == workers
    assert len([r for r in records if isinstance(r, Reported)]) == 10
    printed = "".join(path.read_text() for path in (tmp_path / "output").iterdir())
    assert sorted(printed.splitlines()) == sorted(f"trial {k}" for k in range(10))


def test_a_search_leaves_no_process_behind(search):
    _, records = search()
    pids = {int(outcome.metrics["pid"]) for outcome in ended(records).values()}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_worker_has_one_trial_at_a_time(search):
    _, records = search(workers=3)
    running = {}
    for record in records:
        if isinstance(record, Started):
            assert record.worker not in running
            running[record.worker] = record.trial_id
        elif isinstance(record, Ended):
            assert running.pop(record.worker) == record.outcome.trial_id
    assert running == {}


def test_trials_that_crash_cost_only_themselves(search):
    body = "ctx.trial_id % 3 or os._exit(9)"
    exit_code, records = search(body)
    outcomes = ended(records)
    failed = {k: o.reason for k, o in outcomes.items() if o.state is TrialState.FAILED}
    assert failed == dict.fromkeys((0, 3, 6, 9), "the trial's process exited with code 9")
    assert (exit_code, len(outcomes)) == (0, 10)
    assert all(f"trial {k}" in outcomes[k].detail for k in failed)
    assert not any(isinstance(record, WorkerLost) for record in records)


def test_a_search_in_which_every_trial_fails_says_so(search):
    exit_code, records = search("raise ValueError('no')", trials=3)
    assert exit_code == 3
    assert {outcome.reason for outcome in ended(records).values()} == {"ValueError: no"}


def test_the_time_limit_ends_trials_that_hang(search):
    began = time.monotonic()
    exit_code, records = search("time.sleep(100)", trials=None, time_limit_s=1.0)
    assert time.monotonic() - began < 15
    assert exit_code == 3
    assert {outcome.state for outcome in ended(records).values()} == {TrialState.PREEMPTED}


def test_the_last_worker_that_is_lost_ends_the_search_with_the_reason(search):
    body = "open(__file__, 'w').write('raise ValueError(7)'); os._exit(1)"
    exit_code, records = search(body)
    assert exit_code == 75
    assert {record.worker for record in records if isinstance(record, WorkerLost)} == {1, 2}
    reason = RunState(records).finished.reason
    assert reason.startswith("no worker is left; the last one: ")
    assert "line 1: ValueError: 7" in reason


def test_the_journal_tells_the_whole_search(search):
    class Onlooker:
        def note(self, record, state):
            self.state = state

        def refresh(self, state):
            pass

    onlooker = Onlooker()
    _, records = search(watchers=[onlooker])
    replayed, live = RunState(records), onlooker.state
    assert replayed.declaration.name == "task"
    assert [(t.id, t.value, t.worker) for t in replayed.ended] == [
        (t.id, t.value, t.worker) for t in live.ended
    ]
    assert replayed.best.value == min(t.value for t in replayed.ended)
    assert 0 < replayed.utilisation() <= 1


def test_one_worker_gives_the_same_search_for_the_same_seed(search, tmp_path):
    def values():
        _, records = search(workers=1, trials=5)
        shutil.rmtree(tmp_path / "run")
        return [outcome.value for outcome in ended(records).values()]

    assert values() == values()


class TestTheDriver:
    @pytest.fixture
    def start(self, problem_file, tmp_path):
        drivers = []

        def start(body="pass", workers=2):
            target = problem_file(SOURCE.format(body=body))
            drivers.append(LocalDriver(Workplace(target, str(tmp_path / "trials")), workers))
            return drivers[-1]

        yield start
        for driver in drivers:
            driver.close()

    @staticmethod
    def events_until(driver, kind, count=1):
        events, deadline = [], time.monotonic() + 30
        while sum(isinstance(event, kind) for event in events) < count:
            assert time.monotonic() < deadline
            events += driver.poll(0.1)
        return events

    def test_each_worker_is_ready_once_also_after_a_crash(self, start):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        events = self.events_until(driver, TrialEnded)
        driver.start(Start(1, Trial(1, {"x": 0.5})))
        events += self.events_until(driver, TrialEnded)
        assert [type(event) for event in events] == [TrialReported, TrialEnded] * 2

    def test_a_worker_whose_child_cannot_be_had_again_is_gone_and_says_why(self, start, problem_file):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        problem_file("raise ValueError('edited')\n")
        events = []
        for worker in (1, 2):
            driver.start(Start(worker, Trial(worker, {"x": 0.5})))
            events += self.events_until(driver, WorkerGone)
        gone = [event for event in events if isinstance(event, WorkerGone)]
        assert [event.worker for event in gone] == [1, 2]
        assert all("edited" in event.reason for event in gone)

    def test_word_to_a_worker_that_is_just_lost_is_no_error(self, start, problem_file):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        problem_file("raise ValueError('edited')\n")
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        self.events_until(driver, WorkerGone)
        # The engine may have decided so before it came to the event.
        driver.start(Start(1, Trial(1, {"x": 0.5})))
        driver.shut_down(1)
        driver.poll(0.0)

    def test_poll_waits_no_longer_than_its_patience(self, start):
        driver = start()
        self.events_until(driver, WorkerReady, 2)
        began = time.monotonic()
        assert driver.poll(0.1) == []
        assert 0.05 < time.monotonic() - began < 2

    @pytest.mark.parametrize(
        ("body", "least_s", "most_s"),
        [
            ("os.write(1, b'x' * 200_000); written.touch(); os._exit(0)", 0.0, 1.0),
            ("written.touch(); raise InterruptedError", 0.0, 1.0),
            ("os.write(1, b'x' * 200_000); written.touch()", 1.4, 3.0),
        ],
        ids=["dies", "returns", "goes on"],
    )
    def test_at_the_end_a_trial_may_save_its_state_for_a_while(
        self, body, least_s, most_s, start, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(keepers, "GRACE_S", 1.5)
        written = tmp_path / "written"
        handler = f"import pathlib, signal\n    written = pathlib.Path({str(written)!r})\n"
        handler += f"    def save(number, frame):\n        {body}\n    signal.signal(signal.SIGTERM, save)\n"
        driver = start(f"{handler}    ctx.report(2, x=1.0)\n    time.sleep(100); time.sleep(100)")
        self.events_until(driver, WorkerReady, 2)
        for worker in (1, 2):
            driver.start(Start(worker, Trial(worker, {"x": 0.5})))
        self.events_until(driver, TrialReported, 4)
        began = time.monotonic()
        driver.close()
        assert least_s <= time.monotonic() - began < most_s
        assert written.exists()

    def test_its_clock_starts_with_the_search(self, start):
        driver = start()
        assert 0 <= driver.now() < 5
        assert driver.now() <= driver.now()

    def test_children_keep_their_threads_to_their_share_of_the_cores(
        self, problem_file, tmp_path, monkeypatch
    ):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        source = SOURCE.format(body='return int(os.environ["OMP_NUM_THREADS"])')
        driver = LocalDriver(Workplace(problem_file(source), str(tmp_path)), 1)
        self.events_until(driver, WorkerReady)
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        outcome = self.events_until(driver, TrialEnded)[-1].outcome
        driver.close()
        assert outcome.value == cores_here() <= os.cpu_count()
