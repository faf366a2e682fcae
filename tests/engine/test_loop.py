import itertools

import pytest

from deephpo import Float, Space, create_search
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline
from deephpo.engine.events import TrialEnded, TrialReported, WorkerGone, WorkerReady
from deephpo.engine.loop import SearchLoop
from deephpo.engine.patience import PATIENCE_S
from deephpo.engine.suggester import InlineSuggester, ThreadedSuggester
from deephpo.engine.terms import Terms
from deephpo.storage.journal import JournalFullError
from deephpo.storage.records import Ended, Finished, Started
from deephpo.trial import Outcome, Report, TrialState

SPACE = Space([Float("x", 0.0, 1.0)])


class Log:
    """A recorder that keeps what it gets, in one list with what the driver does."""

    def __init__(self):
        self.lines = []
        self.times = []

    def write(self, records):
        self.lines += records

    def refresh(self, now_s):
        self.times.append(now_s)

    def of(self, kind):
        return [line for line in self.lines if isinstance(line, kind)]


class TinyDriver:
    """Evaluates trials on the spot: each takes one second of its own time, and reports once."""

    def __init__(self, log, workers=1, value=lambda trial: trial.config["x"]):
        self.log = log
        self.value = value
        self.events = [WorkerReady(worker, "here") for worker in range(1, workers + 1)]
        self.patience = []
        self.left_s = []
        self.home = []
        self.closed = 0
        self.time_s = 0.0

    def now(self):
        return self.time_s

    def poll(self, patience_s):
        self.patience.append(patience_s)
        events, self.events = self.events, []
        self.time_s += 1.0 if events else 0.0
        return events

    def start(self, start):
        worker, trial = start.worker, start.trial
        self.log.lines.append(("start", worker, trial.id))
        self.left_s.append(start.left_s)
        outcome = Outcome(trial.id, TrialState.COMPLETED, self.value(trial))
        report = TrialReported(worker, Report(trial.id, 1, {"loss": 1.0}))
        self.events += [report, TrialEnded(worker, outcome)]

    def shut_down(self, worker):
        self.home.append(worker)

    def close(self):
        self.closed += 1


def loop_of(driver, terms, search=None, suggester=InlineSuggester, began_s=0.0):
    search = search or create_search("random", SPACE, seed=1)
    return SearchLoop(Coordinator(terms), suggester(search), driver, driver.log, began_s)


@pytest.mark.parametrize("suggester", [InlineSuggester, ThreadedSuggester])
@pytest.mark.parametrize("workers", [1, 5])
def test_a_search_runs_to_its_end(suggester, workers):
    driver = TinyDriver(Log(), workers)
    assert loop_of(driver, Terms(trials=12), suggester=suggester).run() == 0
    assert sorted(record.trial_id for record in driver.log.of(Started)) == list(range(12))
    assert len(driver.log.of(Ended)) == 12
    assert isinstance(driver.log.lines[-1], Finished)
    assert sorted(driver.home) == list(range(1, workers + 1))
    assert driver.closed == 0  # whoever opened it closes it, when all is recorded


def test_the_record_of_a_start_is_written_before_the_trial_is_sent():
    driver = TinyDriver(Log(), workers=3)
    loop_of(driver, Terms(trials=9)).run()
    starts = [i for i, line in enumerate(driver.log.lines) if isinstance(line, tuple)]
    assert len(starts) == 9
    for i in starts:
        _, worker, trial_id = driver.log.lines[i]
        before = [r for r in driver.log.lines[:i] if isinstance(r, Started)]
        assert any((r.worker, r.trial_id) == (worker, trial_id) for r in before)


def test_a_search_with_one_worker_knows_each_result_before_its_next_question():
    class Listening:
        exhausted = False

        def __init__(self):
            self.search, self.said = create_search("random", SPACE, seed=1), []

        def ask(self, q):
            self.said.append(f"ask {q}")
            return self.search.ask(q)

        def tell(self, trial, value):
            self.said.append(f"tell {trial.id}")

    search = Listening()
    loop_of(TinyDriver(Log()), Terms(trials=3), search).run()
    assert search.said == ["ask 1", "tell 0", "ask 1", "tell 1", "ask 1", "tell 2"]


def test_what_ends_in_one_turn_is_told_before_one_question_and_workers_do_not_wait_for_either():
    said = []

    class Listening(InlineSuggester):
        def submit(self, action):
            said.append(type(action).__name__)
            super().submit(action)

    class Sending(TinyDriver):
        def start(self, start):
            said.append("Start")
            super().start(start)

    loop_of(Sending(Log(), workers=32), Terms(trials=200), suggester=Listening).run()
    # All are started, and all their results come in one turn, when 2 suggestions have been kept ahead.
    rounds = [(word, len(list(same))) for word, same in itertools.groupby(said)]
    assert rounds[:4] == [("Ask", 1), ("Start", 32 + 2), ("Tell", 32), ("Ask", 1)]


def test_a_wish_to_stop_ends_the_search_and_what_runs_is_preempted():
    class StoppingDriver(TinyDriver):
        def start(self, start):
            if start.trial.id == 3:
                loop.request_stop("stopped by SIGTERM")
            else:
                super().start(start)

    driver = StoppingDriver(Log())
    loop = loop_of(driver, Terms(trials=100))
    assert loop.run() == 75
    last, finished = driver.log.of(Ended)[-1], driver.log.of(Finished)[0]
    assert (last.outcome.trial_id, last.outcome.state) == (3, TrialState.PREEMPTED)
    assert finished.reason == "stopped by SIGTERM"


def test_the_time_limit_is_kept_though_no_event_comes():
    class SilentDriver(TinyDriver):
        def start(self, start):
            pass

        def poll(self, patience_s):
            self.time_s += patience_s
            return super().poll(patience_s)

    driver = SilentDriver(Log())
    assert loop_of(driver, Terms(deadline=Deadline(10.0))).run() == 3
    assert 10.0 <= driver.time_s < 10.1
    assert driver.log.of(Ended)[0].outcome.state is TrialState.PREEMPTED
    assert driver.patience[-1] == PATIENCE_S[1]
    assert driver.log.times == sorted(driver.log.times)


def test_the_trial_of_a_worker_that_is_gone_is_run_by_another():
    class LosingDriver(TinyDriver):
        def start(self, start):
            if start.worker == 2:
                self.events.append(WorkerGone(2, "killed"))
            else:
                super().start(start)

    driver = LosingDriver(Log(), workers=2)
    assert loop_of(driver, Terms(trials=5)).run() == 0
    by_trial = {r.outcome.trial_id: r.worker for r in driver.log.of(Ended)}
    assert set(by_trial) == set(range(5))
    assert set(by_trial.values()) == {1}
    assert driver.home == [1]


@pytest.mark.parametrize("suggester", [InlineSuggester, ThreadedSuggester])
def test_an_error_in_the_search_ends_the_loop(suggester):
    class Broken:
        def ask(self, q):
            raise ZeroDivisionError("in ask")

    driver = TinyDriver(Log())
    with pytest.raises(ZeroDivisionError, match="in ask"):
        loop_of(driver, Terms(trials=5), Broken(), suggester).run()
    assert driver.log.of(Finished) == []


def test_an_error_of_the_recorder_ends_the_loop_before_anything_is_done_about_the_records():
    class FullLog(Log):
        def write(self, records):
            if any(isinstance(record, Started) and record.trial_id == 3 for record in records):
                raise JournalFullError("no room")
            super().write(records)

    class ClosingSuggester(InlineSuggester):
        closed = 0

        def close(self):
            self.closed += 1

    driver, suggesters = TinyDriver(FullLog()), []

    def suggester(search):
        suggesters.append(ClosingSuggester(search))
        return suggesters[0]

    with pytest.raises(JournalFullError, match="no room"):
        loop_of(driver, Terms(trials=5), suggester=suggester).run()
    assert driver.log.lines[-1] != ("start", 1, 3)
    assert len([line for line in driver.log.lines if isinstance(line, tuple)]) == 3
    assert suggesters[0].closed == 1


def test_time_goes_on_where_another_process_left_it():
    driver = TinyDriver(Log())
    terms = Terms(trials=3, deadline=Deadline(1060.0))
    assert loop_of(driver, terms, began_s=1000.0).run() == 0
    times = [record.time_s for record in driver.log.of(Started)]
    assert times == sorted(times)
    assert 1000.0 < times[0] < times[-1] <= 1000.0 + driver.time_s
    assert driver.log.times[-1] == 1000.0 + driver.time_s
    assert all(
        left_s == 60.0 - (time_s - 1000.0) for left_s, time_s in zip(driver.left_s, times, strict=True)
    )


def test_patience_grows_only_while_nothing_happens():
    class PausingDriver(TinyDriver):
        """Goes silent for 200 polls after each trial."""

        silence = 0

        def start(self, start):
            super().start(start)
            self.silence = 200

        def poll(self, patience_s):
            self.silence -= 1
            if self.silence < 0:
                return super().poll(patience_s)
            self.patience.append(patience_s)
            return []

    driver = PausingDriver(Log())
    loop_of(driver, Terms(trials=1)).run()
    silent = driver.patience[-200:]
    assert silent == sorted(silent)
    assert silent[0] < silent[-1] == PATIENCE_S[1]
