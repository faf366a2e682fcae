"""A search that is cut off anywhere and resumed: what its journal says is enough to go on.

The journals come from whole sessions in virtual time; they are cut and resumed with the real coordinator,
loop and search, but without child processes, which takes a second for 120 trials.
"""

import heapq
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from deephpo.cli.opening import begin, resume
from deephpo.cli.options import SearchOptions
from deephpo.cli.session import Session
from deephpo.cli.simulate import play
from deephpo.drivers.durations import DEFAULT, parse_durations
from deephpo.drivers.simulated import GRAIN_S
from deephpo.engine.backlog import backlog_of
from deephpo.engine.events import Ask, TrialEnded, WorkerGone, WorkerReady
from deephpo.engine.replay import replay
from deephpo.engine.suggester import InlineSuggester
from deephpo.problem import Declaration
from deephpo.search.create import create_search
from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.records import Asked, Ended, Resumed, Started, Suggested
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, TrialState
from deephpo.worker.loading import load_problem

HARTMANN = str(Path(__file__).parents[2] / "problems" / "hartmann6.py")
TRIALS, SEED = 120, 3
DURATIONS = parse_durations(DEFAULT, SEED)
SEARCHES = ["ambs", "sobol"]


class HereAndNow:
    """A driver in virtual time that evaluates in this process.

    fail: every so many trials one fails.  lose: every so many starts a worker is lost, and comes back.
    """

    def __init__(self, workers, fail=0, lose=0):
        self._run = _hartmann().run
        self._fail, self._lose, self._starts = fail, lose, 0
        self._queue, self._posted, self._now_s = [], 0, 0.0
        for worker in range(1, workers + 1):
            self._post(0.0, WorkerReady(worker, "here"))

    def now(self):
        return self._now_s

    def poll(self, patience_s):
        events = []
        if patience_s > 0.0 and self._queue:
            until_s = self._queue[0][0] + GRAIN_S  # as the simulation looks
            while self._queue and self._queue[0][0] <= until_s:
                self._now_s, _, event = heapq.heappop(self._queue)
                events.append(event)
        return events

    def start(self, start):
        worker, trial = start.worker, start.trial
        self._starts += 1
        end_s = self._now_s + DURATIONS(trial.id)
        if self._lose and self._starts % self._lose == 0:
            self._post(end_s, WorkerGone(worker, "killed"))
            self._post(end_s + 1.0, WorkerReady(worker, "here"))
        elif self._fail and trial.id % self._fail == 0:
            self._post(end_s, TrialEnded(worker, Outcome(trial.id, TrialState.FAILED, reason="NaN")))
        else:
            value = self._run(trial.config)
            outcome = Outcome(trial.id, TrialState.COMPLETED, value, {"value": value})
            self._post(end_s, TrialEnded(worker, outcome))

    def shut_down(self, worker):
        pass

    def close(self):
        pass

    def _post(self, time_s, event):
        heapq.heappush(self._queue, (time_s, self._posted, event))
        self._posted += 1


class SlowSuggester(InlineSuggester):
    """Thinks for a while, in which trials end: as in real time, their results are told afterwards."""

    def __init__(self, search, seed=0):
        super().__init__(search)
        self._rng = random.Random(seed)
        self._waiting = []
        self._turns = 0

    def submit(self, action):
        self._waiting.append(action)
        if isinstance(action, Ask):
            self._turns = self._rng.randrange(6)

    def collect(self):
        self._turns -= 1
        if self._turns < 0:
            for action in self._waiting:
                super().submit(action)
            self._waiting = []
        return super().collect()


class Collector:
    """A watcher that keeps the records."""

    def __init__(self):
        self.records = []

    def note(self, record, state):
        self.records.append(record)

    def refresh(self, state):
        pass


@cache
def _hartmann():
    return load_problem(HARTMANN)


def options_of(name, **changes):
    options = SearchOptions.from_dict(
        {
            "search": {"value": name, "origin": "default"},
            "seed": {"value": SEED, "origin": "default"},
            "trials": {"value": TRIALS, "origin": "default"},
            **{
                option: {"value": None, "origin": "default"}
                for option in (
                    "time_limit_s",
                    "workers",
                    "trial_timeout_s",
                    "trial_memory_bytes",
                    "warm_start",
                )
            },
            "retries": {"value": 2, "origin": "default"},
        }
    )
    return replace(options, **changes)


@pytest.fixture(scope="module")
def journals(tmp_path_factory):
    """Return a function that gives the records of a whole search: hartmann6 with so many workers."""

    @cache
    def run(name, workers):
        path = tmp_path_factory.mktemp("runs") / f"{name}{workers}"
        session = begin(HARTMANN, options_of(name), path)
        exit_code, _ = play(session, workers, DURATIONS, problem_decides=True)
        assert exit_code == 0
        return tuple(read_journal(RunDirectory(path).journal))

    return run


def search_of(records, seed=SEED):
    """Return a new search as these records began."""
    begun = records[0]
    options, declaration = SearchOptions.from_dict(begun.options), Declaration.from_dict(begun.declaration)
    return create_search(
        options.search,
        declaration.space,
        direction=declaration.direction,
        seed=seed,
        start=declaration.start,
        **options.strategy,
    )


def go_on(records, workers, trials=TRIALS, suggester=InlineSuggester, driver=None):
    """Resume where the records end, and search to the end; returns all records, old and new."""
    search = search_of(records)
    assert replay(search, records) is None
    begun, state, collector = records[0], RunState(records), Collector()
    resumed = Resumed(state.now_s, begun.version, begun.host, begun.declaration, begun.options)
    session = Session(
        HARTMANN,
        replace(SearchOptions.from_dict(begun.options), trials=trials),
        Declaration.from_dict(begun.declaration),
        search,
        Journal(None),
        None,
        resumed,
        real_time=False,
        state=state,
        backlog=backlog_of(records),
    )
    driver = driver or HereAndNow(workers)
    assert session.run(driver, suggester(search), [collector]) == 0
    return [*records, *collector.records]


def configs(records):
    """Return the configurations in the order in which they were suggested."""
    return [trial.config for record in records if isinstance(record, Suggested) for trial in record.trials]


def places(records, kind):
    """Return after how many records there is one of this kind."""
    return [k for k, record in enumerate(records, start=1) if isinstance(record, kind)]


def check_whole(records, trials=TRIALS):
    """Assert that so many different trials are settled, each once, and that the whole journal replays."""
    check_settled(records, trials)
    search = search_of(records)
    assert replay(search, records) is None
    assert search.best.value == RunState(records).best.value


def check_settled(records, trials):
    made = configs(records)
    assert len(made) == len({tuple(config.items()) for config in made}) == trials
    settled = [
        record.outcome.trial_id
        for record in records
        if isinstance(record, Ended) and record.outcome.state is not TrialState.PREEMPTED
    ]
    assert sorted(settled) == list(range(trials))


@pytest.mark.parametrize("workers", [1, 7])
@pytest.mark.parametrize("name", SEARCHES)
def test_the_engine_here_is_that_of_a_simulation(journals, name, workers):
    whole = journals(name, workers)
    again = go_on(whole[:1], workers)
    kinds = (Asked, Suggested, Started, Ended)
    mine, theirs = ([r for r in records if isinstance(r, kinds)] for records in (again, whole))
    assert [type(record) for record in mine] == [type(record) for record in theirs]
    assert configs(again) == configs(whole)
    assert RunState(again).best.value == RunState(whole).best.value


class TestOneWorker:
    """It always knows everything, so a search that is cut off goes on as if it had not been."""

    def check(self, whole, cut, trials=TRIALS):
        resumed = go_on(whole[:cut], workers=1, trials=trials)
        assert configs(resumed) == configs(whole)[:trials]
        check_settled(resumed, trials)

    @pytest.mark.parametrize("name", SEARCHES)
    def test_cut_after_some_trials(self, journals, name, figure):
        whole = journals(name, 1)
        ends = places(whole, Ended)
        assert len(ends) == TRIALS
        cuts = range(1, TRIALS, 5 if name == "ambs" else 1)
        for k in cuts:
            self.check(whole, ends[k - 1])
        figure(f"{name}, one worker, {TRIALS} trials: the same configurations after {len(cuts)} cuts")

    @pytest.mark.slow
    def test_cut_after_any_trial(self, journals, figure):
        whole = journals("ambs", 1)
        cuts = places(whole, Ended)[:-1]
        for cut in cuts:
            self.check(whole, cut)
        figure(f"ambs, one worker, {TRIALS} trials: the same configurations after {len(cuts)} cuts")

    @pytest.mark.parametrize("name", SEARCHES)
    @pytest.mark.parametrize("kind", [Asked, Suggested, Started])
    def test_cut_between_an_end_and_the_next_start(self, journals, name, kind):
        """After Asked the answer is missing, after Suggested the start, after Started the end."""
        whole = journals(name, 1)
        cuts = [cut for cut in places(whole, kind) if cut < places(whole, Ended)[29]]
        for cut in cuts[:: 4 if name == "ambs" else 1]:
            self.check(whole, cut, trials=30)

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "trials"), [("ambs", 40), ("sobol", TRIALS)])
    def test_cut_after_any_record(self, journals, name, trials):
        whole = journals(name, 1)
        for cut in range(1, places(whole, Ended)[trials - 1]):
            self.check(whole, cut, trials)

    @pytest.mark.parametrize("name", SEARCHES)
    def test_cut_again_and_again(self, journals, name):
        whole, rng = journals(name, 1), random.Random(1)
        records, cut = list(whole), 0
        while (cut := cut + rng.randrange(20, 130)) < len(records):
            records = go_on(records[:cut], workers=1)
        assert len(places(records, Resumed)) > 3
        assert configs(records) == configs(whole)
        check_whole(records)

    def test_more_trials_than_at_first_are_those_that_would_have_followed(self, journals):
        whole = journals("ambs", 1)
        first = go_on(whole[:1], workers=1, trials=40)
        assert configs(first) == configs(whole)[:40]
        assert configs(go_on(first, workers=1)) == configs(whole)


class TestSevenWorkers:
    """What is started again may end in another order, and then other trials follow; but none is lost."""

    def check(self, whole, cut, **options):
        before = whole[:cut]
        backlog = backlog_of(before)
        resumed = go_on(before, 7, **options)
        check_whole(resumed)
        assert configs(resumed)[: len(configs(before))] == configs(before)
        waiting = [trial.id for trial in backlog.waiting]
        again = [record.trial_id for record in resumed[cut:] if isinstance(record, Started)]
        assert again[: len(waiting)] == waiting

    @pytest.mark.parametrize("name", SEARCHES)
    def test_cut_after_some_records(self, journals, name):
        whole = journals(name, 7)
        for cut in range(1, len(whole), 97 if name == "ambs" else 7):
            self.check(whole, cut)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", SEARCHES)
    def test_cut_after_any_record(self, journals, name):
        whole = journals(name, 7)
        for cut in range(1, len(whole), 7 if name == "ambs" else 1):
            self.check(whole, cut)

    @pytest.mark.parametrize("name", SEARCHES)
    def test_cut_while_results_come_in_before_the_answer(self, journals, name):
        """A result that came while the search was thinking was told to it after its answer."""
        rough = {"suggester": SlowSuggester, "driver": HereAndNow(7, fail=5, lose=9)}
        whole = go_on(journals(name, 7)[:1], 7, **rough)
        check_whole(whole)
        assert any(
            isinstance(record, Ended)
            for asked, suggested in zip(places(whole, Asked), places(whole, Suggested), strict=True)
            for record in whole[asked : suggested - 1]
        )
        assert {outcome.state for outcome in _outcomes(whole)} >= {TrialState.PREEMPTED, TrialState.FAILED}
        for cut in range(20, len(whole), 97 if name == "ambs" else 11):
            self.check(whole, cut, suggester=SlowSuggester, driver=HereAndNow(7, fail=5, lose=9))

    def test_a_replayed_search_waits_for_what_was_not_settled(self, journals):
        whole = journals("sobol", 7)
        for cut in range(1, len(whole), 7):
            search, waiting = search_of(whole), backlog_of(whole[:cut]).waiting
            assert replay(search, whole[:cut]) is None
            assert sorted(search._history.pending) == sorted(trial.id for trial in waiting)
            settled = [o.trial_id for o in _outcomes(whole[:cut]) if o.state is not TrialState.PREEMPTED]
            assert len(settled) + len(waiting) == len(configs(whole[:cut]))


def _outcomes(records):
    return [record.outcome for record in records if isinstance(record, Ended)]


class TestAnotherInstallation:
    """Where the search would suggest something else now, the journal is right."""

    @pytest.mark.parametrize("name", SEARCHES)
    @pytest.mark.parametrize("workers", [1, 7])
    def test_the_first_trial_that_differs_is_named_and_the_search_goes_on(self, journals, name, workers):
        whole = journals(name, workers)
        cut = places(whole, Suggested)[30]
        search = search_of(whole, seed=SEED + 1)
        assert replay(search, whole[:cut]) == 0
        more = [trial.config for trial in search.ask(50)]
        known = configs(whole[:cut])
        assert not any(config in known for config in more)
        assert len({tuple(config.items()) for config in more}) == 50

    def test_a_trial_in_the_middle(self, journals):
        whole = list(journals("sobol", 1))
        place = places(whole, Suggested)[17] - 1
        (trial,) = whole[place].trials
        whole[place] = replace(whole[place], trials=(replace(trial, config=trial.config | {"x1": 0.5}),))
        search = search_of(whole)
        assert replay(search, whole) == 17
        assert search.best.value == RunState(whole).best.value

    def test_trial_ids_and_seeds_are_those_that_would_have_followed(self, journals):
        whole = journals("ambs", 1)
        cut = places(whole, Ended)[39]
        same, other = search_of(whole), search_of(whole, seed=SEED)
        assert replay(same, whole[:cut]) is None
        shuffled = [replace(r, q=1) if isinstance(r, Asked) else r for r in whole[:cut]]
        replay(other, shuffled)
        follow = [trial for r in whole[cut:] if isinstance(r, Suggested) for trial in r.trials]
        assert same.ask(1) == [follow[0]]
        assert other.ask(1)[0].seed == follow[0].seed


@pytest.mark.parametrize(("name", "workers"), [("ambs", 1), ("sobol", 1), ("ambs", 7)])
def test_a_whole_session_resumed_from_its_directory(tmp_path, journals, name, workers, capsys):
    """The same through files, ``resume`` and real children."""
    whole, directory = journals(name, workers), RunDirectory(tmp_path / "run")
    for cut in (places(whole, Ended)[8], places(whole, Asked)[60], places(whole, Suggested)[100]):
        directory.path.mkdir(exist_ok=True)
        directory.journal.unlink(missing_ok=True)
        journal = Journal(directory.journal)
        journal.append(whole[:cut])
        journal.close()
        with open(directory.journal, "ab") as file:
            file.write(b'{"kind":"Started","time_s":1')  # the write during which it was killed
        session = resume(directory, lambda options: options, accept=False)
        assert play(session, workers, DURATIONS, problem_decides=True)[0] == 0
        records = list(read_journal(directory.journal))
        assert tuple(records[:cut]) == whole[:cut]
        assert isinstance(records[cut], Resumed)
        check_whole(records)
        if workers == 1:
            assert configs(records) == configs(whole)
    assert "differs" not in capsys.readouterr().out
