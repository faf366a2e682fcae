"""A search with a stopping rule that is cut off anywhere: it goes on with the same verdicts."""

import heapq
import math
from dataclasses import replace
from functools import cache

import pytest

from deephpo import Fidelity, Float, Problem
from deephpo.cli.options import SearchOptions
from deephpo.cli.session import Session
from deephpo.engine.backlog import backlog_of
from deephpo.engine.events import TrialEnded, TrialReported, WorkerGone, WorkerReady
from deephpo.engine.replay import replay
from deephpo.engine.suggester import InlineSuggester
from deephpo.search.create import create_search
from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.journal import Journal
from deephpo.storage.records import Begun, Ended, Judged, Resumed, Started, Suggested
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, TrialState

EPOCHS, TRIALS, SEED = 9, 24, 5
RULES = ["asha:eta=2,first=1 + diverged", "pace + diverged", "gradient", "knock", "median"]


def loss(config, epoch):
    """Return a curve that crosses others, of noisy values; some diverge."""
    noise = math.sin(1e4 * config["x"] + epoch) / 20
    value = (config["x"] - 0.3) ** 2 + math.exp(-epoch * (0.1 + config["rate"])) + noise
    return math.nan if config["rate"] > 0.93 and epoch > 2 else value


DECLARATION = Problem(
    [Float("x", 0.0, 1.0), Float("rate", 0.0, 1.0)], len, "loss", fidelity=Fidelity("epoch", EPOCHS)
).named("curves")
SUBJECT = Subject("loss", "minimize", EPOCHS, "epoch")


class HereAndNow:
    """A driver in virtual time whose trials report every second, and stop with their next report.

    lose: every so many starts a worker is lost in the middle of its trial, and comes back.
    """

    def __init__(self, workers, lose=0):
        self._queue, self._posted, self._now_s = [], 0, 0.0
        self._lose, self._starts = lose, 0
        self._running, self._told = {}, set()
        for worker in range(1, workers + 1):
            self._post(0.0, WorkerReady(worker, "here"), None)

    def now(self):
        return self._now_s

    def poll(self, patience_s):
        while patience_s and self._queue:
            self._now_s, _, event, attempt = heapq.heappop(self._queue)
            trial_id = None if attempt is None else attempt[0]
            if trial_id is not None and self._running.get(trial_id) != attempt:
                continue
            events = [event]
            if isinstance(event, TrialReported) and trial_id in self._told:
                events.append(TrialEnded(event.worker, Outcome(trial_id, TrialState.STOPPED)))
            if not isinstance(events[-1], TrialReported) and trial_id is not None:
                del self._running[trial_id]
                self._told.discard(trial_id)
            return events
        return []

    def start(self, start):
        worker, trial = start.worker, start.trial
        self._starts += 1
        attempt = self._running[trial.id] = (trial.id, self._starts)
        # Other speeds for other trials, so that they overtake each other.
        pace_s = 1.0 + trial.id % 3 / 8
        for epoch in range(1, EPOCHS + 1):
            report = Report(trial.id, epoch, {"loss": loss(trial.config, epoch)})
            self._post(self._now_s + pace_s * epoch, TrialReported(worker, report), attempt)
        last = loss(trial.config, EPOCHS)
        ended = (
            Outcome(trial.id, TrialState.COMPLETED, last)
            if math.isfinite(last)
            else Outcome(trial.id, TrialState.FAILED, reason="loss is nan")
        )
        self._post(self._now_s + pace_s * (EPOCHS + 0.5), TrialEnded(worker, ended), attempt)
        if self._lose and self._starts % self._lose == 0:
            self._post(self._now_s + 3.3 * pace_s, WorkerGone(worker, "killed"), attempt)
            self._post(self._now_s + 4.3 * pace_s, WorkerReady(worker, "here"), None)

    def stop(self, stop):
        self._told.add(stop.trial_id)

    def shut_down(self, worker):
        pass

    def close(self):
        pass

    def _post(self, time_s, event, attempt):
        heapq.heappush(self._queue, (time_s, self._posted, event, attempt))
        self._posted += 1


class Collector:
    """A watcher that keeps the records."""

    def __init__(self):
        self.records = []

    def note(self, record, state):
        self.records.append(record)

    def refresh(self, state):
        pass


def options_of(name, rule):
    values = {"search": name, "seed": SEED, "trials": TRIALS, "stop": rule, "retries": 2}
    absent = ("time_limit_s", "workers", "trial_timeout_s", "trial_memory_bytes", "warm_start")
    entries = values | dict.fromkeys(absent) | ({"initial": 6} if name == "ambs" else {})
    return SearchOptions.from_dict({k: {"value": v, "origin": "default"} for k, v in entries.items()})


def go_on(records, workers, lose=0):
    """Resume where the records end, and search to the end; returns all records, old and new."""
    begun, state, collector = records[0], RunState(records), Collector()
    options = SearchOptions.from_dict(begun.options)
    search = create_search(options.search, DECLARATION.space, seed=options.seed, **options.strategy)
    assert replay(search, records) is None
    judge = Judge(create_rule(options.stop, SUBJECT), SUBJECT, options.stopped_value)
    judge.recall(records)
    resumed = Resumed(state.now_s, begun.version, begun.host, begun.declaration, begun.options)
    session = Session(
        "curves.py",
        options,
        DECLARATION,
        search,
        Journal(None),
        None,
        resumed,
        real_time=False,
        state=state,
        backlog=backlog_of(records),
        judge=judge,
    )
    assert session.run(HereAndNow(workers, lose), InlineSuggester(search), [collector]) == 0
    return [*records, *collector.records]


@cache
def whole(name, rule, workers, lose=0):
    """Return the records of a search that nothing interrupts."""
    begun = Begun(0.0, "0.1.0", "head", "curves.py", DECLARATION.to_dict(), options_of(name, rule).to_dict())
    return tuple(go_on([begun], workers, lose))


def configs(records):
    return [trial.config for record in records if isinstance(record, Suggested) for trial in record.trials]


def verdicts(records):
    """Return all that was said of each trial; one that goes out again is told again."""
    said = {}
    for record in records:
        if isinstance(record, Judged):
            said.setdefault(record.trial_id, set()).add(record.reason)
    return said


def outcomes(records):
    """Return how the trials were settled, in this order."""
    ends = [record.outcome for record in records if isinstance(record, Ended)]
    return [outcome for outcome in ends if outcome.state is not TrialState.PREEMPTED]


class TestOneWorker:
    """It goes on exactly as it would have."""

    def check(self, records, cut):
        resumed = go_on(list(records[:cut]), workers=1)
        assert configs(resumed) == configs(records)
        assert verdicts(resumed) == verdicts(records)
        assert outcomes(resumed) == outcomes(records)

    @pytest.mark.parametrize(("rule", "every"), [(RULES[0], 1), *((rule, 7) for rule in RULES[1:])])
    def test_cut_after_any_record_or_after_many(self, rule, every):
        records = whole("random", rule, 1)
        stopped = [outcome for outcome in outcomes(records) if outcome.state is TrialState.STOPPED]
        assert stopped
        assert len(stopped) == len(verdicts(records)) < TRIALS
        for cut in range(1, len(records), every):
            self.check(records, cut)

    def test_cut_now_and_then_where_the_model_learns_from_what_was_stopped(self, figure):
        records = whole("ambs", RULES[0], 1)
        cuts = range(1, len(records), 11)
        for cut in cuts:
            self.check(records, cut)
        figure(f"ambs with {RULES[0]}, {TRIALS} trials: the same verdicts after {len(cuts)} cuts")

    def test_cut_right_after_a_verdict_and_once_more_before_the_trial_hears_of_it(self):
        records = whole("ambs", RULES[0], 1)
        judged = [k for k, record in enumerate(records, start=1) if isinstance(record, Judged)]
        for cut in judged[::3]:
            again = go_on(list(records[:cut]), workers=1)
            cut_again = next(k for k in range(cut, len(again)) if isinstance(again[k], Started)) + 1
            twice = go_on(again[:cut_again], workers=1)
            assert configs(twice) == configs(records)
            assert outcomes(twice) == outcomes(records)

    def test_what_was_stopped_teaches_the_search_its_value(self):
        """With another value it goes another way."""
        first = whole("ambs", RULES[0], 1)
        options = first[0].options | {"stopped_value": {"value": "last", "origin": "default"}}
        last = go_on([replace(first[0], options=options)], workers=1)
        assert configs(first)[:6] == configs(last)[:6]
        assert configs(first) != configs(last)


class TestSevenWorkers:
    """Other trials may follow, but a verdict stays, and every trial is settled once."""

    @pytest.mark.parametrize("rule", RULES[:2])
    @pytest.mark.parametrize("lose", [0, 5])
    def test_cut_after_some_records(self, rule, lose):
        records = whole("random", rule, 7, lose)
        assert any(outcome.state is TrialState.STOPPED for outcome in outcomes(records))
        for cut in range(1, len(records), 9):
            before = list(records[:cut])
            resumed = go_on(before, 7, lose)
            assert sorted(outcome.trial_id for outcome in outcomes(resumed)) == list(range(TRIALS))
            assert outcomes(resumed)[: len(outcomes(before))] == outcomes(before)
            said = verdicts(resumed)
            assert all(len(reasons) == 1 for reasons in said.values())
            assert all(said[trial_id] == reasons for trial_id, reasons in verdicts(before).items())
            for outcome in outcomes(resumed):
                if outcome.state is TrialState.STOPPED:
                    assert outcome.reason in said[outcome.trial_id]
