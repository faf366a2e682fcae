import itertools
import random
from collections import Counter

import pytest

from deephpo.engine.coordinator import Coordinator, Goal
from deephpo.engine.events import (
    Ask,
    ShutDown,
    Start,
    StopRequested,
    SuggestionsMade,
    Tell,
    Tick,
    TrialEnded,
    TrialReported,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.storage.records import (
    Asked,
    Ended,
    Finished,
    Reported,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.trial import Outcome, Report, Trial, TrialState


def outcome(trial_id, state=TrialState.COMPLETED):
    return Outcome(trial_id, state, 0.5 if state is TrialState.COMPLETED else None)


def ended(worker, trial_id, state=TrialState.COMPLETED):
    return TrialEnded(worker, outcome(trial_id, state))


class Game:
    """Plays a coordinator: counts trials and seconds, and keeps every action in its order."""

    def __init__(self, trials=None, time_s=None, workers=0):
        self.coordinator = Coordinator(Goal(trials, time_s))
        self.now_s = 0.0
        self.actions = []
        self.made = 0
        self.events = [WorkerReady(worker, f"node{worker}") for worker in range(1, workers + 1)]
        for event in self.events:
            self.tell(event)

    def tell(self, event):
        """Let an event happen a second later; returns the actions."""
        self.now_s += 1.0
        actions = self.coordinator.handle(event, self.now_s)
        self.actions += actions
        return actions

    def answer(self, count=None, exhausted=False):
        """Answer the last Ask with so many trials, all that it asked for unless told otherwise."""
        asked = [action.q for action in self.actions if isinstance(action, Ask)][-1]
        count = asked if count is None else count
        trials = tuple(Trial(k, {"x": k}) for k in range(self.made, self.made + count))
        self.made += count
        return self.tell(SuggestionsMade(trials, exhausted))

    def of(self, kind):
        return [action for action in self.actions if isinstance(action, kind)]

    def records(self, kind):
        return [action.record for action in self.of(Write) if isinstance(action.record, kind)]


def kinds(actions):
    return [type(a.record if isinstance(a, Write) else a).__name__ for a in actions]


def of(actions, kind):
    return [action for action in actions if isinstance(action, kind)]


class TestHandingOut:
    def test_a_first_worker_makes_it_ask_and_the_answer_starts_a_trial(self):
        game = Game()
        assert kinds(game.tell(WorkerReady(1, "node1"))) == ["WorkerJoined", "Asked", "Ask"]
        assert kinds(game.answer()) == ["Suggested", "Started", "Start"]
        assert game.of(Start) == [Start(1, Trial(0, {"x": 0}))]

    def test_a_record_stands_before_the_action_that_it_describes(self):
        game = Game(trials=4, workers=2)
        game.answer()
        game.tell(ended(1, 0))
        game.answer()
        for record, action in ((Asked, Ask), (Started, Start), (Ended, Tell)):
            places = [i for i, a in enumerate(game.actions) if isinstance(a, action)]
            assert places
            assert all(type(game.actions[i - 1].record) is record for i in places)

    def test_records_carry_the_time_of_their_event(self):
        game = Game(workers=1)
        game.answer()
        game.tell(ended(1, 0))
        assert game.records(WorkerJoined)[0].time_s == 1.0
        assert game.records(Started)[0].time_s == 2.0
        assert game.records(Ended)[0].time_s == 3.0

    def test_workers_that_are_free_longest_come_first(self):
        game = Game(workers=3)
        game.answer()  # to the Ask of the first worker alone
        game.answer()
        assert [(start.worker, start.trial.id) for start in game.of(Start)] == [(1, 0), (2, 1), (3, 2)]

    def test_a_worker_that_becomes_free_gets_a_trial_from_the_buffer_in_the_same_breath(self):
        game = Game(workers=2)
        game.answer()
        game.answer()  # one for the second worker, one ahead
        actions = game.tell(ended(1, 0))
        assert kinds(actions) == ["Ended", "Tell", "Started", "Start", "Asked", "Ask"]

    def test_only_one_ask_is_open_at_a_time(self):
        game = Game()
        for worker in range(1, 9):
            game.tell(WorkerReady(worker, "node"))
        assert [ask.q for ask in game.of(Ask)] == [1]
        assert game.coordinator.thinking
        game.answer()
        assert [ask.q for ask in game.of(Ask)] == [1, 8]  # seven that wait, one ahead

    def test_a_single_worker_is_asked_for_only_after_its_result_was_told(self):
        game = Game(workers=1)
        game.answer()
        assert len(game.of(Ask)) == 1
        assert not game.coordinator.thinking
        assert kinds(game.tell(ended(1, 0))) == ["Ended", "Tell", "Asked", "Ask"]
        assert game.of(Ask)[-1] == Ask(1)

    def test_nothing_is_asked_while_there_is_no_worker(self):
        game = Game(workers=1)
        game.tell(WorkerGone(1, "gone"))
        game.answer()
        game.tell(Tick())
        assert len(game.of(Ask)) == 1
        assert kinds(game.tell(WorkerReady(2, "node2"))) == ["WorkerJoined", "Started", "Start"]

    def test_never_more_trials_are_asked_for_than_wanted(self):
        game = Game(trials=3, workers=8)
        game.answer()
        assert game.of(Ask)[-1] == Ask(2)
        game.answer()
        for start in game.of(Start):
            game.tell(ended(start.worker, start.trial.id))
        assert len(game.of(Start)) == 3
        assert game.coordinator.exit_code == 0


class TestReports:
    def test_a_report_of_a_running_trial_is_recorded(self):
        game = Game(workers=1)
        game.answer()
        report = Report(0, 1, {"loss": 0.5})
        assert game.tell(TrialReported(1, report)) == [Write(Reported(game.now_s, report))]

    @pytest.mark.parametrize(
        "late",
        [
            TrialReported(1, Report(7, 1, {"loss": 0.5})),
            TrialReported(2, Report(0, 1, {"loss": 0.5})),
            ended(1, 7),
            ended(2, 0),
            ended(99, 0),
        ],
        ids=["report of another trial", "report of another worker", "another trial", "worker", "unknown"],
    )
    def test_word_of_a_trial_that_does_not_run_there_is_ignored(self, late):
        game = Game(workers=1)
        game.answer()
        assert game.tell(late) == []
        assert kinds(game.tell(ended(1, 0)))[:2] == ["Ended", "Tell"]

    def test_an_outcome_counts_once(self):
        game = Game(trials=2, workers=1)
        game.answer()
        game.tell(ended(1, 0))
        assert game.tell(ended(1, 0)) == []
        assert len(game.of(Tell)) == 1
        assert game.coordinator.exit_code is None


class TestLosses:
    def test_the_trial_of_a_lost_worker_goes_out_first_again(self):
        game = Game(workers=2)
        game.answer()
        game.answer()
        actions = game.tell(WorkerGone(1, "no heartbeat"))
        assert kinds(actions)[:2] == ["Ended", "WorkerLost"]
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason="no heartbeat")
        assert of(actions, Tell) == []
        actions = game.tell(ended(2, 1))
        assert of(actions, Start) == [Start(2, Trial(0, {"x": 0}))]

    def test_a_late_outcome_of_a_lost_worker_is_ignored(self):
        game = Game(workers=2)
        game.answer()
        game.tell(WorkerGone(1, "no heartbeat"))
        assert game.tell(ended(1, 0)) == []

    def test_a_lost_worker_gets_nothing_more(self):
        game = Game(workers=2)
        game.tell(WorkerGone(2, "gone"))
        game.answer()
        assert [start.worker for start in game.of(Start)] == [1]
        game.tell(StopRequested("enough"))
        assert game.of(ShutDown) == [ShutDown(1)]

    def test_a_preempted_trial_is_retried_and_not_told_to_the_search(self):
        game = Game(trials=1, workers=1)
        game.answer()
        actions = game.tell(ended(1, 0, TrialState.PREEMPTED))
        assert kinds(actions) == ["Ended", "Started", "Start"]
        game.tell(ended(1, 0))
        assert game.coordinator.exit_code == 0
        assert len(game.of(Ask)) == len(game.of(Tell)) == 1

    def test_the_loss_of_a_worker_that_never_was_ready_is_recorded(self):
        game = Game()
        assert game.tell(WorkerGone(5, "no child")) == [Write(WorkerLost(1.0, 5, "no child"))]


class TestTheEnd:
    @pytest.mark.parametrize(
        ("states", "code"),
        [
            ([TrialState.COMPLETED, TrialState.COMPLETED], 0),
            ([TrialState.FAILED, TrialState.COMPLETED], 0),
            ([TrialState.FAILED, TrialState.FAILED], 3),
            ([TrialState.STOPPED, TrialState.FAILED], 3),
        ],
    )
    def test_all_trials_done_is_a_success_if_one_of_them_is(self, states, code):
        game = Game(trials=2, workers=1)
        for k, state in enumerate(states):
            game.answer()
            actions = game.tell(ended(1, k, state))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        assert game.records(Finished) == [Finished(game.now_s, "all 2 trials are done", code)]
        assert game.coordinator.exit_code == code

    def test_a_space_in_which_nothing_is_untried_ends_when_the_last_trial_did(self):
        game = Game(trials=10, workers=2)
        game.answer()
        game.answer(count=1, exhausted=True)
        game.tell(ended(1, 0))
        assert game.coordinator.exit_code is None
        game.tell(ended(2, 1))
        assert game.coordinator.exit_code == 0
        assert game.records(Finished)[0].reason == "nothing untried is left: all 2 configurations were tried"
        assert len(game.of(Ask)) == 2

    def test_an_exhausted_search_still_retries_what_was_preempted(self):
        game = Game(workers=1)
        game.answer(count=1, exhausted=True)
        game.tell(WorkerGone(1, "gone"))
        assert game.coordinator.exit_code is None
        game.tell(WorkerReady(2, "node2"))
        game.tell(ended(2, 0))
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(
        ("trials", "success", "code"), [(None, True, 0), (None, False, 3), (100, True, 75)]
    )
    def test_the_end_of_the_time_preempts_what_runs(self, trials, success, code):
        game = Game(trials=trials, time_s=10.0, workers=2)
        game.answer()
        game.answer()
        game.tell(ended(1, 0, TrialState.COMPLETED if success else TrialState.FAILED))
        assert game.coordinator.handle(Tick(), 9.99) == []
        actions = game.coordinator.handle(Tick(), 10.0)
        assert kinds(actions) == ["Ended", "Ended", "Finished", "ShutDown", "ShutDown"]
        assert {(a.record.outcome.trial_id, a.record.outcome.state) for a in actions[:2]} == {
            (1, TrialState.PREEMPTED),
            (2, TrialState.PREEMPTED),
        }
        assert game.coordinator.exit_code == code

    def test_a_result_at_the_very_end_of_the_time_still_counts(self):
        game = Game(time_s=10.0, workers=1)
        game.answer()
        actions = game.coordinator.handle(ended(1, 0), 12.0)
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        assert game.coordinator.exit_code == 0

    def test_a_wish_to_stop_ends_the_search_so_that_it_can_be_resumed(self):
        game = Game(trials=5, workers=2)
        game.answer()
        actions = game.tell(StopRequested("stopped by SIGTERM"))
        assert kinds(actions) == ["Ended", "Finished", "ShutDown", "ShutDown"]
        assert actions[0].record.outcome.reason == "stopped by SIGTERM"
        assert game.coordinator.exit_code == 75

    @pytest.mark.parametrize(
        "event", [WorkerReady(3, "x"), ended(1, 0), WorkerGone(1, "x"), Tick(), StopRequested("again")]
    )
    def test_after_the_end_nothing_happens_any_more(self, event):
        game = Game(workers=1)
        game.answer()
        game.tell(StopRequested("enough"))
        assert game.tell(event) == []
        assert game.coordinator.exit_code == 75


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_the_books_are_right(seed):
    """Random events, late and wrong ones among them, against the promises of the engine."""
    rng = random.Random(seed)
    goal, size, known = rng.choice([None, 1, 7, 40]), rng.choice([None, 5, 60]), itertools.count(1)
    game = Game(trials=goal, time_s=rng.choice([None, 300.0]))
    running, alive, open_asks = {}, set(), []
    handed, told, settled = Counter(), Counter(), 0

    def random_event():
        """Return a likely event; the world is free to say things twice, late, or of strangers."""
        choice = rng.random()
        if choice < 0.10 and len(alive) < 8:
            worker = next(known)
            alive.add(worker)
            return WorkerReady(worker, "node")
        if choice < 0.14 and alive:
            worker = rng.choice(sorted(alive))
            alive.discard(worker)
            return WorkerGone(worker, "gone")
        if choice < 0.45 and open_asks:
            q = open_asks.pop()
            count = q if size is None else min(q, size - game.made)
            trials = tuple(Trial(game.made + k, {}) for k in range(count))
            game.made += count
            return SuggestionsMade(trials, count < q)
        if choice < 0.75 and running:
            worker = rng.choice(sorted(running))
            return ended(worker, running[worker], rng.choice(list(TrialState)))
        if choice < 0.85:
            return ended(rng.randrange(20), rng.randrange(50))
        if choice < 0.95:
            return TrialReported(rng.randrange(20), Report(rng.randrange(50), 1, {"loss": 1.0}))
        return Tick() if rng.random() < 0.97 else StopRequested("enough")

    for _ in range(600):
        event = random_event()
        actions = game.tell(event)
        for before, action in itertools.pairwise([None, *actions]):
            match action:
                case Write(record=Ended(worker=worker, outcome=result)):
                    assert running.pop(worker) == result.trial_id
                    settled += result.state is not TrialState.PREEMPTED
                case Start(worker=worker, trial=trial):
                    assert before == Write(Started(game.now_s, trial.id, worker))
                    assert worker in alive
                    assert worker not in running
                    assert trial.id not in running.values()
                    assert told[trial.id] == 0
                    running[worker] = trial.id
                    handed[trial.id] += 1
                case Ask(q=q):
                    assert before == Write(Asked(game.now_s, q))
                    assert not open_asks
                    open_asks.append(q)
                case Tell(trial=trial):
                    assert before == Write(Ended(game.now_s, event.worker, event.outcome))
                    told[trial.id] += 1
                case ShutDown(worker=worker):
                    assert worker in alive
        assert max(told.values(), default=0) <= 1
        assert goal is None or len(handed) <= goal
        assert sum(told.values()) == settled
        assert game.coordinator.thinking == bool(open_asks) or game.coordinator.exit_code is not None
        if game.coordinator.exit_code is not None:
            break
        # Nobody waits while there is something to do: a free worker means that the search owes an answer,
        # or has none to give any more.
        if len(running) < len(alive):
            spent = goal is not None and game.made >= goal
            assert open_asks or spent or game.coordinator._exhausted
    if game.coordinator.exit_code is not None:
        assert isinstance(game.actions[-1], ShutDown | Write)
        assert [action.worker for action in game.of(ShutDown)] == sorted(alive)
        assert len(game.records(Finished)) == 1
        assert running == {}
        if game.coordinator.exit_code == 3:
            assert not any(r.outcome.state is TrialState.COMPLETED for r in game.records(Ended))
        if "trials are done" in game.records(Finished)[0].reason:
            assert settled == goal
    assert len(game.records(Suggested)) >= len(game.of(Ask)) - 1
