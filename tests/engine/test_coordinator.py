import gc
import itertools
import random
import time
from collections import Counter

import pytest

from deephpo import Float, Space
from deephpo.engine.backlog import Backlog, backlog_of
from deephpo.engine.buffer import depth_for
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline, Durations, notice_s
from deephpo.engine.demand import MOST_PER_ASK
from deephpo.engine.events import (
    Ask,
    Foretell,
    ShutDown,
    Start,
    StopRequested,
    SuggestionsMade,
    Tell,
    TrialEnded,
    TrialReported,
    WorkerAlive,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.engine.retries import MOST_INTERRUPTIONS
from deephpo.engine.standing import HOPELESS_AFTER
from deephpo.engine.terms import RETRIES, Terms
from deephpo.problem import Declaration
from deephpo.storage.records import (
    Asked,
    Ended,
    Finished,
    Ignored,
    Reported,
    Resumed,
    Started,
    WorkerJoined,
    WorkerLost,
)
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState

DECLARATION = Declaration("demo", Space([Float("x", 0.0, 1.0)])).to_dict()
RESUMED = Resumed(0.0, "0.1.0", "head", DECLARATION, {})


def outcome(trial_id, state=TrialState.COMPLETED, reason=""):
    return Outcome(trial_id, state, 0.5 if state is TrialState.COMPLETED else None, reason=reason)


def ended(worker, trial_id, state=TrialState.COMPLETED, reason=""):
    return TrialEnded(worker, outcome(trial_id, state, reason))


def trial(trial_id):
    return Trial(trial_id, {"x": trial_id})


class Game:
    """Plays a coordinator: counts trials and seconds, and keeps every action in its order.

    workers: so many are ready.  places: so many there can be.
    """

    def __init__(self, workers=0, places=None, backlog=None, **terms):
        self.coordinator = Coordinator(Terms(**terms, workers=places), backlog)
        self.now_s = 0.0
        self.actions = []
        self.made = 0 if backlog is None else backlog.suggested
        self.events = [WorkerReady(worker, f"node{worker}") for worker in range(1, workers + 1)]
        for event in self.events:
            self.tell(event)

    def tell(self, *events, after_s=1.0):
        """Let events happen a second later, all in one turn; returns the actions."""
        self.now_s += after_s
        actions = self.coordinator.handle(events, self.now_s)
        self.actions += actions
        return actions

    def wait(self, seconds):
        """Let nothing happen for so long; returns the actions."""
        return self.tell(after_s=seconds)

    def answer(self, count=None, exhausted=False, after_s=1.0):
        """Answer the last Ask with so many trials, all that it asked for unless told otherwise."""
        asked = [action.q for action in self.actions if isinstance(action, Ask)][-1]
        count = asked if count is None else count
        trials = tuple(trial(k) for k in range(self.made, self.made + count))
        self.made += count
        return self.tell(SuggestionsMade(trials, exhausted), after_s=after_s)

    def start_all(self, after_s=1.0):
        """Answer until every worker has a trial."""
        while self.coordinator.thinking:
            self.answer(after_s=after_s)

    @property
    def running(self):
        """The trials that run now, by their workers."""
        running = {}
        for action in self.actions:
            match action:
                case Start(worker=worker, trial=started):
                    running[worker] = started.id
                case Write(record=Ended(worker=worker)):
                    del running[worker]
        return running

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
        assert game.of(Start) == [Start(1, trial(0), attempt=0, left_s=None)]

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
        game.wait(1.0)
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

    def test_what_ends_in_one_turn_is_told_before_one_ask_for_all_that_is_missing(self):
        game = Game(workers=8)
        game.start_all()
        ends = [ended(worker, trial_id) for worker, trial_id in game.running.items()]
        actions = game.tell(*ends[:5])
        # One was kept ahead; the other four of the five free workers wait for the search.
        assert kinds(actions) == ["Ended", "Tell"] * 5 + ["Started", "Start", "Asked", "Ask"]
        assert of(actions, Ask) == [Ask(5)]
        assert kinds(game.answer()) == ["Suggested"] + ["Started", "Start"] * 4

    def test_an_answer_that_comes_with_results_serves_their_workers_too(self):
        game = Game(workers=16)
        game.start_all()
        game.tell(ended(1, game.running[1]))
        made = SuggestionsMade((trial(game.made),), False)
        actions = game.tell(made, ended(2, game.running[2]))
        assert kinds(actions) == ["Suggested", "Ended", "Tell", "Started", "Start", "Asked", "Ask"]
        assert of(actions, Start)[0].worker == 2
        assert of(actions, Ask) == [Ask(1)]

    def test_no_ask_is_for_more_than_so_many_and_the_first_workers_do_not_wait_for_the_last(self):
        game = Game()
        game.tell(*(WorkerReady(worker, "node") for worker in range(1, 2 * MOST_PER_ASK + 1)))
        assert game.of(Ask) == [Ask(MOST_PER_ASK)]
        actions = game.answer()
        assert [start.worker for start in of(actions, Start)] == list(range(1, MOST_PER_ASK + 1))
        game.start_all()
        ahead = depth_for(2 * MOST_PER_ASK)
        assert game.of(Ask) == [Ask(MOST_PER_ASK), Ask(MOST_PER_ASK), Ask(ahead)]
        assert len(game.of(Start)) == 2 * MOST_PER_ASK

    def test_a_suggestion_goes_to_the_worker_of_one_of_the_next_results(self):
        """However slow the search: at most as many results away as suggestions are kept ahead."""
        game, rng = Game(workers=40), random.Random(1)
        game.start_all()
        running, asked_at, distances = game.running, {}, []
        freed = {}
        """By worker: the number of the result that made it free."""
        results = 0
        for _ in range(1000):
            events = []
            for worker in rng.sample(sorted(running), min(len(running), rng.choice([0, 1, 2, 5]))):
                results += 1
                freed[worker] = results
                events.append(ended(worker, running.pop(worker)))
            if game.coordinator.thinking and rng.random() < 0.3:
                events.append(
                    SuggestionsMade(tuple(trial(k) for k in range(game.made, max(asked_at) + 1)), False)
                )
                game.made = max(asked_at) + 1
            for action in game.coordinator.handle(events, 0.0):
                match action:
                    case Start(worker=worker, trial=started):
                        running[worker] = started.id
                        distances.append(freed[worker] - asked_at.get(started.id, freed[worker]))
                    case Ask(q=q):
                        asked_at |= dict.fromkeys(range(game.made, game.made + q), results)
        assert len(distances) > 500
        assert max(distances) == depth_for(40) == 3

    def test_a_turn_costs_the_same_however_many_workers_there_are(self):
        def cost_s(workers):
            """Return the CPU seconds of 1,000 turns: in each a trial ends and a free worker is lost."""
            game = Game(lease_s=1e9)
            game.tell(*(WorkerReady(worker, "node") for worker in range(1, workers + 1)))
            lost = iter(range(workers, 0, -1))
            game.answer()
            handle = game.coordinator.handle
            gc.disable()  # it would look at all workers
            try:
                began_s = time.process_time()
                for k in range(1000):
                    handle([ended(k + 1, k), WorkerGone(next(lost), "gone"), WorkerAlive(2000)], game.now_s)
                return time.process_time() - began_s
            finally:
                gc.enable()

        few_s, many_s = (min(cost_s(workers) for _ in range(3)) for workers in (3000, 100_000))
        assert many_s < 5 * few_s


class TestSynchronously:
    def test_the_next_batch_is_asked_for_when_the_last_trial_has_ended(self):
        game = Game(workers=8, synchronous=True)
        game.start_all()
        for worker, trial_id in list(game.running.items())[:7]:
            assert kinds(game.tell(ended(worker, trial_id))) == ["Ended", "Tell"]
        (last,) = game.running.items()
        assert kinds(game.tell(ended(*last))) == ["Ended", "Tell", "Asked", "Ask"]
        assert game.of(Ask)[-1] == Ask(8)
        assert kinds(game.answer()) == ["Suggested"] + ["Started", "Start"] * 8

    def test_nothing_is_kept_ahead(self):
        game = Game(workers=40, synchronous=True)
        game.start_all()
        assert len(game.of(Start)) == sum(ask.q for ask in game.of(Ask)) == 40

    def test_a_batch_has_a_trial_for_each_worker_however_many_there_are(self):
        workers = 2 * MOST_PER_ASK
        game = Game(synchronous=True)
        game.tell(*(WorkerReady(worker, "node") for worker in range(1, workers + 1)))
        assert game.of(Ask) == [Ask(workers)]

    def test_workers_that_come_late_join_the_batch_until_its_first_result(self):
        game = Game(workers=1, synchronous=True)
        game.answer()
        game.tell(WorkerReady(2, "node"), WorkerReady(3, "node"))
        game.answer()
        assert [ask.q for ask in game.of(Ask)] == [1, 2]
        game.tell(ended(2, game.running[2]))
        assert kinds(game.tell(WorkerReady(4, "node"))) == ["WorkerJoined"]
        game.tell(ended(1, game.running[1]))
        game.tell(ended(3, game.running[3]))
        assert [ask.q for ask in game.of(Ask)] == [1, 2, 4]

    def test_a_trial_that_lost_its_worker_belongs_to_its_batch(self):
        game = Game(workers=3, synchronous=True)
        game.start_all()
        lost = game.running[1]
        game.tell(WorkerGone(1, "killed"))
        game.tell(ended(2, game.running[2]))
        assert game.running[2] == lost
        game.tell(ended(3, game.running[3]))
        assert sum(ask.q for ask in game.of(Ask)) == 3
        game.tell(ended(2, lost))
        assert game.of(Ask)[-1] == Ask(2)

    def test_the_last_batch_has_what_is_left(self):
        game = Game(workers=4, trials=10, synchronous=True)
        for _ in range(3):
            game.start_all()
            game.tell(*(ended(worker, trial_id) for worker, trial_id in game.running.items()))
        assert len(game.of(Start)) == 10
        assert game.of(Ask)[-1] == Ask(2)
        assert game.coordinator.exit_code == 0

    def test_what_an_earlier_process_left_is_a_batch_of_its_own(self):
        backlog = Backlog((trial(5), trial(6)), suggested=7, settled=5, succeeded=5)
        game = Game(workers=4, backlog=backlog, synchronous=True)
        assert sorted(game.running.values()) == [5, 6]
        for worker, trial_id in list(game.running.items()):
            assert game.of(Ask) == []
            game.tell(ended(worker, trial_id))
        assert game.of(Ask) == [Ask(4)]


class TestReports:
    def test_a_report_of_a_running_trial_is_recorded(self):
        game = Game(workers=1)
        game.answer()
        report = Report(0, 1, {"loss": 0.5})
        assert game.tell(TrialReported(1, report)) == [Write(Reported(game.now_s, report))]

    def test_what_a_running_trial_is_worth_so_far_is_told_where_it_is_wanted(self):
        game = Game(workers=1, interim="loss")
        game.start_all()
        report = Report(0, 3, {"loss": 0.5, "accuracy": 0.9})
        actions = game.tell(TrialReported(1, report))
        assert actions == [Write(Reported(game.now_s, report)), Foretell(0, 0.5)]
        assert not of(game.tell(TrialReported(1, Report(0, 4, {"accuracy": 0.9}))), Foretell)
        assert not of(game.tell(TrialReported(1, Report(7, 1, {"loss": 0.5}))), Foretell)

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
        actions = game.tell(late)
        if isinstance(late, TrialEnded):
            record = Ignored(game.now_s, late.worker, late.outcome.trial_id, "nobody waits for it")
            assert actions == [Write(record)]
        else:
            assert actions == []
        assert kinds(game.tell(ended(1, 0)))[:2] == ["Ended", "Tell"]

    def test_an_outcome_counts_once(self):
        game = Game(trials=2, workers=1)
        game.answer()
        game.tell(ended(1, 0))
        assert kinds(game.tell(ended(1, 0))) == ["Ignored"]
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
        assert of(actions, Start) == [Start(2, trial(0), attempt=1)]

    def test_a_late_outcome_of_a_lost_worker_is_ignored_and_the_worker_gets_nothing(self):
        game = Game(workers=2)
        game.answer()
        game.tell(WorkerGone(1, "no heartbeat"))
        assert game.tell(ended(1, 0)) == [Write(Ignored(game.now_s, 1, 0, "nobody waits for it"))]
        assert game.records(WorkerJoined)[-1].worker == 2

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

    def test_a_worker_is_lost_once(self):
        game = Game(workers=1)
        game.answer()
        game.tell(WorkerGone(1, "killed"))
        assert game.tell(WorkerGone(1, "its rank died too")) == []
        assert len(game.records(Ended)) == len(game.records(WorkerLost)) == 1


class TestRetries:
    def lose(self, game, trial_id, worker, why):
        """Lose the only worker, which has this trial, and welcome the next one; returns both's actions."""
        assert game.running == {worker: trial_id}
        return game.tell(WorkerGone(worker, why)), game.tell(WorkerReady(worker + 1, "node"))

    @pytest.mark.parametrize("retries", [0, 1, RETRIES, 5])
    def test_a_trial_that_loses_its_worker_goes_out_so_often_and_then_has_failed(self, retries):
        game = Game(workers=1, retries=retries)
        game.answer()
        for loss in range(retries):
            lost, welcome = self.lose(game, 0, loss + 1, f"loss {loss}")
            assert kinds(lost) == ["Ended", "WorkerLost"]
            assert of(welcome, Start) == [Start(loss + 2, trial(0), attempt=loss + 1)]
        lost, welcome = self.lose(game, 0, retries + 1, "the last")
        assert kinds(lost) == ["Ended", "Tell", "WorkerLost"]
        why = f"given up: it lost {retries + 1} workers, the last one because: the last"
        assert lost[1] == Tell(trial(0), Outcome(0, TrialState.FAILED, reason=why))
        assert lost[0].record.outcome == lost[1].outcome
        assert kinds(welcome) == ["WorkerJoined", "Asked", "Ask"]
        assert len(game.of(Tell)) == 1

    def test_a_trial_that_is_given_up_is_settled_once(self):
        game = Game(workers=1, retries=0, trials=2)
        game.answer()
        game.tell(WorkerGone(1, "killed"))
        assert kinds(game.tell(ended(1, 0))) == ["Ignored"]
        assert game.coordinator.exit_code is None
        game.tell(WorkerReady(2, "node"))
        game.answer()
        game.tell(ended(2, 1))
        assert game.coordinator.exit_code == 0
        assert [tell.trial.id for tell in game.of(Tell)] == [0, 1]

    def test_the_last_trial_given_up_ends_the_search(self):
        game = Game(workers=1, retries=0, trials=1)
        game.answer()
        actions = game.tell(WorkerGone(1, "killed"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost", "Finished"]
        assert game.coordinator.exit_code == 3

    def test_each_trial_has_retries_of_its_own(self):
        game = Game(workers=2, retries=1)
        game.start_all()
        game.tell(WorkerGone(1, "killed"))
        game.tell(WorkerGone(2, "killed"))
        assert [record.outcome.state for record in game.records(Ended)] == [TrialState.PREEMPTED] * 2
        game.tell(WorkerReady(3, "node"))
        game.tell(WorkerReady(4, "node"))
        assert {start.trial.id for start in game.of(Start)[-2:]} == {0, 1}
        game.tell(WorkerGone(3, "killed"))
        game.tell(WorkerGone(4, "killed"))
        assert [record.outcome.state for record in game.records(Ended)[2:]] == [TrialState.FAILED] * 2

    def test_retries_go_out_before_what_is_kept_ahead_and_before_anything_new(self):
        game = Game(workers=3)
        game.start_all()
        game.tell(WorkerGone(1, "killed"))
        game.tell(WorkerGone(2, "killed"))
        game.tell(WorkerReady(4, "node"))
        game.tell(ended(3, 2))
        assert {start.trial.id for start in game.of(Start)[3:5]} == {0, 1}
        assert len(game.of(Tell)) == 1


class TestInterruptions:
    """A trial's process was told to end, by a batch system that ends its job, or by the trial itself."""

    SIGTERM = "the trial's process was killed by signal 15 (SIGTERM)"

    def interrupt(self, game):
        (at_work,) = game.running.items()
        return game.tell(ended(*at_work, TrialState.PREEMPTED, self.SIGTERM))

    def test_in_one_job_that_happens_so_often_and_then_it_has_failed(self):
        game = Game(workers=1, retries=0)
        game.answer()
        for _ in range(MOST_INTERRUPTIONS):
            assert kinds(self.interrupt(game)) == ["Ended", "Started", "Start"]
        actions = self.interrupt(game)
        assert kinds(actions)[:2] == ["Ended", "Tell"]
        why = f"given up: it was told to end 3 times while the search went on, the last time: {self.SIGTERM}"
        assert of(actions, Tell)[0].outcome == Outcome(0, TrialState.FAILED, reason=why)

    def test_the_ends_of_many_jobs_do_not_add_up(self):
        records = []
        for job in range(6):
            game = Game(workers=1, backlog=backlog_of(records), trials=1)
            if job == 0:
                game.answer()
            assert game.of(Start)[-1].attempt == 2 * job
            self.interrupt(game)
            game.tell(StopRequested("stopped by SIGTERM"))
            records += [*(action.record for action in game.of(Write)), RESUMED]
        assert {end.outcome.state for end in records if isinstance(end, Ended)} == {TrialState.PREEMPTED}

    def test_they_are_no_lost_workers_and_those_do_not_count_among_them(self):
        game = Game(workers=1, retries=1)
        game.answer()
        for worker in (1, 2):
            self.interrupt(game)
            if worker == 1:
                game.tell(WorkerGone(1, "killed"))
                game.tell(WorkerReady(2, "node"))
        assert [record.outcome.state for record in game.records(Ended)] == [TrialState.PREEMPTED] * 3
        game.tell(WorkerGone(2, "killed"))
        assert game.records(Ended)[-1].outcome.reason.startswith("given up: it lost 2 workers")


class TestAWorkerThatIsReadyTwice:
    def test_has_started_anew_and_its_trial_with_it(self):
        game = Game(workers=1)
        game.answer()
        actions = game.tell(WorkerReady(1, "node1"))
        assert kinds(actions) == ["Ended", "WorkerLost", "WorkerJoined", "Started", "Start"]
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason="it started anew")
        assert of(actions, Start) == [Start(1, trial(0), attempt=1)]

    def test_is_given_up_with_its_trial_when_that_happens_too_often(self):
        game = Game(workers=1, retries=1)
        game.answer()
        game.tell(WorkerReady(1, "node1"))
        actions = game.tell(WorkerReady(1, "node1"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost", "WorkerJoined", "Asked", "Ask"]

    def test_has_one_place_among_the_free_ones(self):
        game = Game(workers=1)
        game.tell(WorkerReady(1, "node1"))
        assert [ask.q for ask in game.of(Ask)] == [1]
        game.answer()
        assert [start.worker for start in game.of(Start)] == [1]
        assert not game.coordinator.thinking


class TestTheLease:
    def game(self, workers=2, **terms):
        game = Game(workers=workers, lease_s=60.0, **terms)
        game.start_all()
        return game

    def test_a_silent_worker_is_lost_and_its_trial_goes_out_again(self):
        game = self.game()
        game.tell(WorkerAlive(2), after_s=50.0)
        assert kinds(game.wait(1.0)) == []
        actions = game.wait(15.0)
        assert kinds(actions) == ["Ended", "WorkerLost"]
        why = "not a word from it for 60 s"
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason=why)
        assert actions[1].record == WorkerLost(game.now_s, 1, why)
        assert of(game.tell(ended(2, 1)), Start) == [Start(2, trial(0), attempt=1)]

    @pytest.mark.parametrize(
        "word", [WorkerAlive(1), TrialReported(1, Report(0, 1, {"loss": 0.5})), ended(1, 0)]
    )
    def test_any_word_renews_the_lease(self, word):
        game = self.game(workers=1)
        game.tell(word, after_s=40.0)
        game.start_all()
        assert "WorkerLost" not in kinds(game.wait(55.0))
        assert "WorkerLost" in kinds(game.wait(15.0))

    def test_without_a_lease_silence_means_nothing(self):
        game = Game(workers=1)
        game.answer()
        assert game.wait(1e9) == []

    def test_the_late_result_of_a_silent_worker_is_ignored_and_the_worker_welcome_again(self):
        game = self.game()
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        actions = game.tell(ended(1, 0))
        assert kinds(actions)[:2] == ["Ignored", "WorkerJoined"]
        why = "it came after its worker's lease had run out"
        assert actions[0].record == Ignored(game.now_s, 1, 0, why)
        assert of(actions, Tell) == []
        assert of(actions, Start) == [Start(1, trial(0), attempt=1)]
        game.tell(ended(1, 0))
        assert [tell.trial.id for tell in game.of(Tell)] == [0]

    def test_the_late_result_does_not_disturb_the_retry_that_runs_elsewhere(self):
        game = self.game()
        game.tell(ended(2, 1), after_s=50.0)
        game.wait(30.0)
        game.tell(ended(2, game.running[2]))
        assert game.running == {2: 0}
        game.tell(ended(1, 0))
        assert len(game.records(Ignored)) == 1
        assert game.tell(ended(2, 0))[1] == Tell(trial(0), outcome(0))

    def test_a_silent_worker_that_was_free_is_welcome_at_its_next_word(self):
        game = Game(workers=1, lease_s=60.0)  # the search still owes the answer
        game.wait(100.0)
        assert kinds(game.tell(WorkerAlive(1))) == ["WorkerJoined"]
        assert of(game.answer(), Start) == [Start(1, trial(0))]

    def test_a_silent_worker_that_still_has_its_trial_is_not(self):
        game = self.game(workers=1)
        game.wait(100.0)
        assert game.tell(WorkerAlive(1)) == []
        assert game.tell(TrialReported(1, Report(0, 1, {"loss": 0.5}))) == []

    def test_a_silent_worker_may_start_anew(self):
        game = self.game(workers=1)
        game.wait(100.0)
        assert kinds(game.tell(WorkerReady(1, "node1"))) == ["WorkerJoined", "Started", "Start"]
        assert kinds(game.tell(ended(1, 0)))[:2] == ["Ended", "Tell"]

    def test_a_silent_worker_that_then_is_gone_stays_so(self):
        game = self.game(workers=2)
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        assert game.tell(WorkerGone(1, "rank 1 died")) == []
        assert game.tell(WorkerAlive(1)) == []
        assert kinds(game.tell(ended(1, 0))) == ["Ignored"]
        assert len(game.records(WorkerLost)) == 1

    def test_word_from_one_that_is_not_ready_yet_is_no_welcome(self):
        game = Game(lease_s=60.0)
        assert game.tell(WorkerAlive(1)) == []


class TestNoWorkerIsLeft:
    def test_the_search_ends_so_that_it_can_be_resumed(self):
        game = Game(places=2, trials=9)
        game.tell(WorkerReady(1, "a"))
        game.tell(WorkerGone(2, "its problem did not load"))
        assert game.coordinator.exit_code is None
        game.answer()
        actions = game.tell(WorkerGone(1, "rank 1 died"))
        assert kinds(actions) == ["Ended", "WorkerLost", "Finished"]
        assert actions[-1].record.reason == "no worker is left; the last one: rank 1 died"
        assert game.coordinator.exit_code == 75

    def test_silent_ones_do_not_count_as_left(self):
        game = Game(workers=2, places=2, lease_s=60.0)
        game.tell(WorkerGone(1, "rank 1 died"))
        game.wait(100.0)
        assert game.coordinator.exit_code == 75
        assert "not a word from it for 60 s" in game.records(Finished)[0].reason

    def test_one_that_came_back_counts_again(self):
        game = Game(workers=2, places=2, lease_s=60.0)
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        game.tell(WorkerAlive(1))
        game.tell(WorkerGone(2, "rank 2 died"))
        assert game.coordinator.exit_code is None

    def test_where_more_may_come_the_search_waits_for_them(self):
        game = Game(workers=2)
        game.tell(WorkerGone(1, "gone"))
        game.tell(WorkerGone(2, "gone"))
        game.wait(1e6)
        assert game.coordinator.exit_code is None


class TestAHopelessSearch:
    def play(self, game, reasons):
        """Let the only worker's next trials end, each with a reason of failure or, for None, well."""
        actions = []
        for reason in reasons:
            game.start_all()
            if game.coordinator.exit_code is not None:
                break
            state = TrialState.COMPLETED if reason is None else TrialState.FAILED
            actions = game.tell(ended(1, game.running[1], state, reason or ""))
        return actions

    def test_ends_after_twenty_failures_and_names_the_most_frequent(self):
        game = Game(workers=1, trials=100)
        reasons = ["CUDA error", "ImportError: numpi", "ImportError: numpi", "CUDA error", "exit code 9"] * 4
        self.play(game, reasons[:-1])
        assert game.coordinator.exit_code is None
        actions = self.play(game, ["ImportError: numpi"])
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        reason = f"all of the first {HOPELESS_AFTER} trials failed, most often: ImportError: numpi"
        assert game.records(Finished) == [Finished(game.now_s, reason, 3)]
        assert game.coordinator.exit_code == 3

    @pytest.mark.parametrize("place", [0, 7, 19])
    def test_not_if_one_trial_succeeded(self, place):
        game = Game(workers=1, trials=100)
        reasons = ["no"] * 30
        reasons[place] = None
        self.play(game, reasons)
        assert len(game.of(Tell)) == 30
        assert game.coordinator.exit_code is None

    def test_not_if_one_trial_was_only_stopped(self):
        game = Game(workers=1, trials=100)
        game.answer()
        game.tell(ended(1, 0, TrialState.STOPPED))
        self.play(game, ["no"] * 30)
        assert game.coordinator.exit_code is None

    def test_twenty_trials_that_were_all_that_was_wanted_are_done(self):
        game = Game(workers=1, trials=HOPELESS_AFTER)
        self.play(game, ["no"] * HOPELESS_AFTER)
        assert game.records(Finished)[0].reason == f"all {HOPELESS_AFTER} trials are done"
        assert game.coordinator.exit_code == 3

    def test_preempted_trials_do_not_count_and_given_up_ones_do(self):
        game = Game(workers=1, trials=100)
        game.answer()
        for _ in range(2 * HOPELESS_AFTER):
            game.tell(ended(1, 0, TrialState.PREEMPTED))
        assert game.coordinator.exit_code is None
        game = Game(workers=1, trials=100, retries=0)
        for worker in range(1, HOPELESS_AFTER + 1):
            game.start_all()
            game.tell(WorkerGone(worker, "killed"))
            game.tell(WorkerReady(worker + 1, "node"))
        assert game.coordinator.exit_code == 3

    @pytest.mark.parametrize(
        ("settled", "succeeded", "more"),
        [(20, 0, None), (33, 0, None), (10, 0, 10), (19, 0, 1), (10, 1, None)],
    )
    def test_who_resumes_it_knows_better_unless_it_was_not_seen_yet(self, settled, succeeded, more):
        backlog = Backlog(suggested=settled, settled=settled, succeeded=succeeded)
        game = Game(workers=1, trials=100, backlog=backlog)
        self.play(game, ["no"] * (30 if more is None else more - 1))
        assert game.coordinator.exit_code is None
        if more is not None:
            self.play(game, ["no"])
            assert game.coordinator.exit_code == 3

    def test_many_trials_given_up_at_once_do_not_step_over_the_limit(self):
        game = Game(workers=40, trials=100, retries=0, lease_s=60.0)
        game.start_all()
        game.wait(200.0)
        assert game.coordinator.exit_code == 3
        assert "all of the first 40 trials failed" in game.records(Finished)[0].reason


class TestResuming:
    def backlog(self, **changes):
        given = {"waiting": (trial(3), trial(7), trial(8)), "suggested": 9, "settled": 6, "succeeded": 4}
        return Backlog(**(given | {"starts": Counter({3: 2, 7: 1}), "losses": Counter({3: 1})} | changes))

    def test_waiting_trials_go_out_first_in_their_order_with_their_attempts(self):
        game = Game(workers=3, trials=20, backlog=self.backlog())
        starts = [(start.worker, start.trial.id, start.attempt) for start in game.of(Start)]
        assert starts == [(1, 3, 2), (2, 7, 1), (3, 8, 0)]
        assert game.of(Ask) == [Ask(1)]  # the one ahead

    def test_nothing_new_is_asked_for_while_enough_is_waiting(self):
        game = Game(workers=1, trials=20, backlog=self.backlog())
        for trial_id in (3, 7):
            game.tell(ended(1, trial_id))
            assert game.of(Ask) == []
        game.tell(ended(1, 8))
        assert game.of(Ask) == [Ask(1)]

    def test_what_was_suggested_and_settled_before_counts(self):
        game = Game(workers=3, trials=10, backlog=self.backlog())
        assert game.of(Ask) == [Ask(1)]
        for start in game.of(Start):
            game.tell(ended(start.worker, start.trial.id))
        game.answer()
        assert game.of(Ask) == [Ask(1)]
        assert game.coordinator.exit_code is None
        game.tell(ended(game.of(Start)[-1].worker, 9))
        assert game.records(Finished)[0].reason == "all 10 trials are done"
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(("succeeded", "code"), [(0, 3), (1, 0)])
    def test_a_success_of_before_is_a_success(self, succeeded, code):
        game = Game(workers=1, trials=1, backlog=Backlog((trial(0),), suggested=1, succeeded=succeeded))
        game.tell(ended(1, 0, TrialState.FAILED))
        assert game.coordinator.exit_code == code

    def test_workers_lost_before_count_among_the_retries(self):
        game = Game(workers=1, retries=2, backlog=self.backlog())
        game.tell(WorkerGone(1, "killed"))
        assert game.records(Ended)[0].outcome.state is TrialState.PREEMPTED
        game.tell(WorkerReady(2, "node"))
        game.tell(WorkerGone(2, "killed"))
        assert game.records(Ended)[1].outcome.reason.startswith("given up: it lost 3 workers")

    @pytest.mark.parametrize("settled", [10, 12])
    def test_a_search_that_was_done_ends_at_once(self, settled):
        backlog = Backlog(suggested=settled, settled=settled, succeeded=1)
        game = Game(trials=10, backlog=backlog)
        assert kinds(game.wait(1.0)) == ["Finished"]
        assert game.coordinator.exit_code == 0

    def test_a_search_that_found_nothing_untried_is_asked_again(self):
        # The problem may have wider bounds now.
        game = Game(workers=1, trials=10, backlog=Backlog(suggested=4, settled=4, succeeded=4))
        assert game.of(Ask) == [Ask(1)]
        game.answer(count=0, exhausted=True)
        assert game.records(Finished)[0].reason == "nothing untried is left: all 4 configurations were tried"
        assert game.coordinator.exit_code == 0


class TestTheDeadline:
    def game(self, workers=1, durations=(10.0, 10.0, 10.0), **terms):
        """Return a game whose only worker had trials that lasted so long, and has the next one."""
        game = Game(workers=workers, **terms)
        game.start_all()
        for duration_s in durations:
            game.tell(ended(1, game.running[1]), after_s=duration_s)
            game.start_all(after_s=0.0)
        return game

    @pytest.mark.parametrize("asked_for", [True, False])
    @pytest.mark.parametrize("trials", [None, 100])
    @pytest.mark.parametrize("success", [True, False])
    def test_only_the_users_own_limit_without_a_number_of_trials_is_an_end_as_asked(
        self, asked_for, trials, success
    ):
        game = Game(workers=1, trials=trials, deadline=Deadline(100.0, asked_for))
        game.answer()
        game.tell(ended(1, 0, TrialState.COMPLETED if success else TrialState.FAILED))
        game.answer()
        actions = game.wait(100.0)
        assert kinds(actions) == ["Ended", "Finished", "ShutDown"]
        assert actions[0].record.outcome == Outcome(1, TrialState.PREEMPTED, reason="the time is up")
        assert actions[1].record.reason == "the time is up"
        expected = 75 if trials or not asked_for else 0 if success else 3
        assert game.coordinator.exit_code == expected

    def test_a_trial_is_told_how_long_the_search_goes_on(self):
        game = Game(workers=1, deadline=Deadline(100.0))
        game.answer()
        assert game.of(Start)[0].left_s == 98.0

    @pytest.mark.parametrize(("left_s", "starts"), [(10.5, True), (10.0, True), (9.5, False)])
    def test_nothing_starts_that_would_not_be_done_in_time(self, left_s, starts):
        game = self.game(deadline=Deadline(1000.0))
        game.coordinator.handle([ended(1, game.running[1])], 1000.0 - left_s)
        assert (game.coordinator.exit_code is None) == starts

    def test_nothing_new_is_asked_for_either(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        asks = len(game.of(Ask))
        actions = game.tell(ended(1, game.running[1]), after_s=993.0 - game.now_s)
        assert kinds(actions) == ["Ended", "Tell"]
        assert len(game.of(Ask)) == asks
        assert game.coordinator.exit_code is None  # worker 2 still has a trial

    def test_the_search_ends_early_when_nothing_runs_and_nothing_may_start(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        game.tell(ended(1, game.running[1]), after_s=993.0 - game.now_s)
        actions = game.tell(ended(2, game.running[2]))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown", "ShutDown"]
        assert actions[2].record.reason == "no trial would be done before the time is up"
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(("trials", "asked_for"), [(100, True), (None, False)])
    def test_such_an_early_end_is_to_be_resumed_if_more_was_wanted(self, trials, asked_for):
        game = self.game(trials=trials, deadline=Deadline(1000.0, asked_for))
        game.coordinator.handle([ended(1, game.running[1])], 995.0)
        assert game.coordinator.exit_code == 75

    def test_a_trial_that_would_go_on_from_its_checkpoint_starts_to_the_last(self):
        game = self.game(deadline=Deadline(1000.0), resumable=True)
        game.tell(ended(1, game.running[1]), after_s=998.0 - game.now_s)
        game.answer()
        assert game.of(Start)[-1].left_s == 1.0
        assert game.coordinator.exit_code is None

    def test_two_durations_say_nothing_yet(self):
        game = self.game(durations=(400.0,), deadline=Deadline(1000.0))
        game.tell(ended(1, game.running[1]), after_s=400.0)
        game.answer()
        assert len(game.of(Start)) == 3

    def test_the_median_decides_and_not_one_long_trial(self):
        game = self.game(durations=(10.0, 700.0, 10.0, 10.0), deadline=Deadline(1000.0))
        game.coordinator.handle([ended(1, game.running[1])], 985.0)
        assert game.coordinator.exit_code is None

    def test_failures_say_nothing_about_durations(self):
        game = Game(workers=1, deadline=Deadline(1000.0))
        for _ in range(9):
            game.answer()
            game.tell(ended(1, game.running[1], TrialState.FAILED), after_s=100.0)
        game.answer()
        assert game.coordinator.exit_code is None
        assert len(game.of(Start)) == 10

    def test_a_retry_is_not_started_either_if_it_is_too_late(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        game.wait(994.0 - game.now_s)
        game.tell(WorkerGone(1, "killed"))
        actions = game.tell(ended(2, game.running[2]))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]


class TestDurations:
    def test_the_median_of_the_last_ones_is_typical(self):
        durations, rng, last = Durations(), random.Random(1), []
        for count in range(1, 1000):
            last = [*last, rng.lognormvariate(2, 1)][-256:]
            durations.add(last[-1])
            assert durations.typical_s == (0.0 if count < 3 else sorted(last)[len(last) // 2])

    def test_equal_durations_are_forgotten_one_by_one(self):
        durations = Durations()
        for duration_s in [1.0] * 256 + [2.0] * 129:
            durations.add(duration_s)
        assert durations.typical_s == 2.0

    @pytest.mark.parametrize(("time_s", "before_s"), [(60.0, 3.0), (600.0, 30.0), (86400.0, 30.0)])
    def test_running_trials_are_told_a_little_before_the_end(self, time_s, before_s):
        assert notice_s(time_s) == before_s


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
        game = Game(trials=trials, deadline=Deadline(10.0), workers=2)
        game.answer()
        game.answer()
        game.tell(ended(1, 0, TrialState.COMPLETED if success else TrialState.FAILED))
        assert game.coordinator.handle([], 9.99) == []
        actions = game.coordinator.handle([], 10.0)
        assert kinds(actions) == ["Ended", "Ended", "Finished", "ShutDown", "ShutDown"]
        assert {(a.record.outcome.trial_id, a.record.outcome.state) for a in actions[:2]} == {
            (1, TrialState.PREEMPTED),
            (2, TrialState.PREEMPTED),
        }
        assert game.coordinator.exit_code == code

    def test_a_result_at_the_very_end_of_the_time_still_counts(self):
        game = Game(deadline=Deadline(10.0), workers=1)
        game.answer()
        actions = game.coordinator.handle([ended(1, 0)], 12.0)
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        assert game.coordinator.exit_code == 0

    def test_all_results_that_come_with_the_end_count(self):
        game = Game(deadline=Deadline(10.0), workers=3)
        game.start_all()
        actions = game.coordinator.handle([ended(1, 0), ended(2, 1), StopRequested("enough")], 12.0)
        assert kinds(actions)[:5] == ["Ended", "Tell", "Ended", "Tell", "Ended"]
        assert actions[4].record.outcome.state is TrialState.PREEMPTED
        game = Game(deadline=Deadline(10.0), workers=3)
        game.start_all()
        actions = game.coordinator.handle([ended(1, 0), ended(2, 1)], 12.0)
        assert [r.record.outcome.state for r in of(actions, Write)[:3]] == [
            TrialState.COMPLETED,
            TrialState.COMPLETED,
            TrialState.PREEMPTED,
        ]

    def test_a_trial_that_fails_together_with_the_wish_to_end_may_have_failed_of_it(self):
        """A batch system tells every process of a job, and the trial may catch that and leave."""
        game = Game(workers=2)
        game.start_all()
        actions = game.tell(ended(2, 1, TrialState.FAILED, "sys.exit(143)"), StopRequested("SIGTERM"))
        assert kinds(actions) == ["Ended", "Ended", "Finished", "ShutDown", "ShutDown"]
        assert {end.outcome.state for end in game.records(Ended)} == {TrialState.PREEMPTED}
        assert RunState(game.records(object)).running == set()

    def test_a_trial_that_was_told_to_end_often_is_not_given_up_together_with_the_job(self):
        game = Game(workers=1)
        game.start_all()
        for _ in range(2):
            game.tell(ended(1, 0, TrialState.PREEMPTED, "told to end"))
            game.start_all()
        game.tell(ended(1, 0, TrialState.PREEMPTED, "told to end"), StopRequested("SIGTERM"))
        assert {end.outcome.state for end in game.records(Ended)} == {TrialState.PREEMPTED}
        assert game.coordinator.exit_code == 75

    def test_a_worker_that_is_gone_with_its_result_gets_no_other_trial(self):
        game = Game(workers=4)
        game.start_all()
        actions = game.tell(ended(1, game.running[1]), WorkerGone(1, "rank 1 died"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost"]
        assert of(actions, Start) == []

    def test_a_wish_to_stop_ends_the_search_so_that_it_can_be_resumed(self):
        game = Game(trials=5, workers=2)
        game.answer()
        actions = game.tell(StopRequested("stopped by SIGTERM"))
        assert kinds(actions) == ["Ended", "Finished", "ShutDown", "ShutDown"]
        assert actions[0].record.outcome.reason == "stopped by SIGTERM"
        assert game.coordinator.exit_code == 75

    @pytest.mark.parametrize(
        "event", [WorkerReady(3, "x"), ended(1, 0), WorkerGone(1, "x"), StopRequested("again")]
    )
    def test_after_the_end_nothing_happens_any_more(self, event):
        game = Game(workers=1)
        game.answer()
        game.tell(StopRequested("enough"))
        assert game.tell(event) == []
        assert game.coordinator.exit_code == 75


class World:
    """Random events, late and wrong ones among them, against the promises of the engine.

    It keeps books of its own, by the actions alone, and compares.
    """

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.goal, self.size = rng.choice([None, 1, 40, 100]), rng.choice([None, 5, 100])
        self.places, self.retries = rng.choice([None, 3, 8]), rng.choice([0, 1, 2])
        self.deadline = rng.choice([None, Deadline(300.0, rng.random() < 0.5)])
        self.states = rng.choice(
            [list(TrialState), [TrialState.FAILED], [TrialState.COMPLETED], [TrialState.COMPLETED]]
        )
        self.terms = {
            "trials": self.goal,
            "deadline": self.deadline,
            "retries": self.retries,
            "lease_s": rng.choice([None, 25.0]),
            "resumable": rng.random() < 0.3,
            "synchronous": rng.random() < 0.3,
        }
        self.game = Game(places=self.places, **self.terms)
        self.known = itertools.count(1)
        self.history = []
        """All records, of all processes."""
        self.at_work, self.running = {}, {}
        """What each worker has, as it believes itself, and as the engine believes."""
        self.there, self.lost, self.open_asks, self.waiting_first = set(), set(), [], set()
        self.handed, self.losses, self.told = Counter(), Counter(), Counter()
        self.interruptions = Counter()
        """How often each trial was told to end, in this process."""
        self.settled = self.succeeded = 0
        self.batch_has_results = False

    def event(self):
        """Return a likely event, or None; the world is free to say things twice, late, or of strangers."""
        rng, choice = self.rng, self.rng.random()
        anybody = sorted(self.there | set(self.at_work) | self.lost) or [1]
        if choice < 0.12 and len(self.there) < 8:
            return WorkerReady(rng.randint(1, self.places) if self.places else next(self.known), "node")
        if choice < 0.15:
            return WorkerGone(rng.choice(anybody), "gone")
        if choice < 0.40 and self.open_asks:
            return SuggestionsMade(*self.answer(self.open_asks.pop()))
        if choice < 0.60 and self.at_work:
            worker = rng.choice(sorted(self.at_work))  # perhaps one whose trial runs elsewhere by now
            return ended(worker, self.at_work.pop(worker), rng.choice(self.states), rng.choice("abc"))
        if choice < 0.65:
            return ended(rng.randrange(20), rng.randrange(50))
        if choice < 0.72:
            worker = rng.choice([*self.at_work, rng.randrange(20)])
            trial_id = self.at_work.get(worker, rng.randrange(50))
            return TrialReported(worker, Report(trial_id, 1, {"loss": 1.0}))
        if choice < 0.90:
            return WorkerAlive(rng.choice(anybody))
        return StopRequested("enough") if rng.random() < 0.01 else None

    def answer(self, q):
        count = q if self.size is None else min(q, self.size - self.game.made)
        trials = tuple(trial(self.game.made + k) for k in range(count))
        self.game.made += count
        return trials, count < q

    def events(self, most):
        """Return what happens in one turn: a wish to stop comes last, as from the loop."""
        drawn = [event for event in (self.event() for _ in range(most)) if event is not None]
        return sorted(drawn, key=lambda event: isinstance(event, StopRequested))

    def turn(self):
        events = self.events(self.rng.choice([1, 1, 1, 3, 10]))
        actions = self.game.tell(*events)
        self.history += [action.record for action in of(actions, Write)]
        for before, action in itertools.pairwise([None, *actions]):
            self.take(events, before, action)
        self.compare()
        assert len(of(actions, Ask)) <= 1

    def take(self, events, before, action):
        now_s = self.game.now_s
        anew = {event.worker for event in events if isinstance(event, WorkerReady)}
        gone = {event.worker for event in events if isinstance(event, WorkerGone)}
        match action:
            case Write(record=WorkerJoined(worker=worker)):
                assert worker not in self.there
                self.there.add(worker)
                self.lost.discard(worker)
                if worker in anew:
                    self.at_work.pop(worker, None)
            case Write(record=WorkerLost(worker=worker)):
                assert worker not in self.lost | set(self.running)
                self.there.discard(worker)
                self.lost.add(worker)
                if worker in anew | gone:
                    self.at_work.pop(worker, None)
                match before:
                    case Write(record=Ended(worker=ended_on, outcome=result)) if (
                        ended_on == worker and result.reason == action.record.reason
                    ):
                        self.losses[result.trial_id] += 1
            case Write(record=Ended(worker=worker, outcome=result)):
                assert self.running.pop(worker) == result.trial_id
                if result.state is TrialState.PREEMPTED:
                    self.waiting_first.add(result.trial_id)
                    self.interruptions[result.trial_id] += result.reason in "abc"
                else:
                    self.settled += 1
                    self.succeeded += result.state is TrialState.COMPLETED
                if result.reason.startswith("given up"):
                    assert result.state is TrialState.FAILED
                    often = self.interruptions if "told to end" in result.reason else self.losses
                    most = MOST_INTERRUPTIONS if "told to end" in result.reason else self.retries
                    assert often[result.trial_id] == most
            case Write(record=Reported(report=report)):
                said = [event for event in events if isinstance(event, TrialReported)]
                assert any(self.running.get(e.worker) == report.trial_id for e in said if e.report is report)
            case Write(record=Ignored(worker=worker, trial_id=trial_id)):
                late = [event for event in events if isinstance(event, TrialEnded)]
                assert (worker, trial_id) in {(event.worker, event.outcome.trial_id) for event in late}
                assert self.running.get(worker) != trial_id
            case Start(worker=worker, trial=started, attempt=attempt, left_s=left_s):
                assert before == Write(Started(now_s, started.id, worker))
                assert worker in self.there
                assert worker not in self.running
                assert started.id not in self.running.values()
                assert self.told[started.id] == 0
                assert attempt == self.handed[started.id]
                assert left_s == (self.deadline and self.deadline.time_s - now_s)
                assert not self.waiting_first or started.id in self.waiting_first
                self.waiting_first.discard(started.id)
                self.running[worker] = self.at_work[worker] = started.id
                self.handed[started.id] += 1
            case Ask(q=q):
                assert before == Write(Asked(now_s, q))
                if self.terms["synchronous"]:
                    assert q <= len(self.there) - len(self.running)
                    out = self.game.made - self.settled
                    assert not (self.batch_has_results and out)
                    self.batch_has_results = False
                assert not self.open_asks
                assert q > 0
                self.open_asks.append(q)
            case Tell(trial=told, outcome=result):
                assert before.record.outcome == result
                self.told[told.id] += 1
                self.batch_has_results = True
            case ShutDown(worker=worker):
                assert worker in self.there

    def compare(self):
        coordinator = self.game.coordinator
        assert max(self.told.values(), default=0) <= 1
        assert self.goal is None or len(self.handed) <= self.goal
        assert sum(self.told.values()) == self.settled
        assert max(self.losses.values(), default=0) <= self.retries + 1
        assert max(self.interruptions.values(), default=0) <= MOST_INTERRUPTIONS
        assert coordinator.thinking == bool(self.open_asks) or coordinator.exit_code is not None
        # Nobody waits while there is something to do: a free worker means that the search owes an answer,
        # has none to give any more, or that there is no time left for another trial.
        if coordinator.exit_code is None and len(self.running) < len(self.there):
            spent = self.goal is not None and self.game.made >= self.goal
            late = coordinator._is_too_late(self.game.now_s)
            batch = self.terms["synchronous"] and self.running
            assert self.open_asks or spent or late or batch or coordinator._demand.exhausted
            assert not self.waiting_first or late

    def crash(self):
        """Kill the process and resume: all that goes on is what the journal says."""
        backlog = self.check_backlog()
        self.history.append(Resumed(self.game.now_s, "0.1.0", "head", DECLARATION, {}))
        self.waiting_first |= {k for k in self.handed if not self.told[k]}
        self.running, self.at_work, self.there, self.lost, self.open_asks = {}, {}, set(), set(), []
        self.interruptions.clear()
        self.game.coordinator = Coordinator(Terms(**self.terms, workers=self.places), backlog)
        self.batch_has_results = True

    def check_backlog(self):
        backlog = backlog_of(self.history)
        counts = (backlog.suggested, backlog.settled, backlog.succeeded)
        assert counts == (self.game.made, self.settled, self.succeeded)
        waiting = [k for k in range(self.game.made) if not self.told[k]]
        assert [waits.id for waits in backlog.waiting] == sorted(
            waiting, key=lambda k: (not self.handed[k], k)
        )
        for counter, truth in ((backlog.starts, self.handed), (backlog.losses, self.losses)):
            assert counter == {k: truth[k] for k in waiting if truth[k]}
        state = RunState(self.history)
        assert state.done == self.settled
        assert state.running == set(self.running.values())
        assert state.counts[TrialState.COMPLETED] == self.succeeded
        return backlog

    def check_end(self):
        game, code = self.game, self.game.coordinator.exit_code
        if code is None:
            return
        finished = [record for record in self.history if isinstance(record, Finished)]
        reason = finished[-1].reason
        assert self.history[-1] == finished[-1] == Finished(game.now_s, reason, code)
        homewards = list(itertools.takewhile(lambda a: isinstance(a, ShutDown), reversed(game.actions)))
        assert [action.worker for action in reversed(homewards)] == sorted(self.there)
        assert self.running == {}
        as_asked = 0 if self.succeeded else 3
        if "trials are done" in reason:
            assert (code, self.settled) == (as_asked, self.goal)
        elif "nothing untried" in reason:
            assert (code, self.settled, game.made) == (as_asked, self.size, self.size)
        elif "of the first" in reason:
            assert (code, self.succeeded) == (3, 0)
            assert self.settled >= HOPELESS_AFTER
        elif "no worker is left" in reason:
            assert (code, len(self.lost)) == (75, self.places)
        elif "the time is up" in reason:
            assert code == (as_asked if self.deadline.asked_for and self.goal is None else 75)
            assert game.now_s >= 300.0 or (reason.startswith("no trial") and not self.terms["resumable"])
        else:
            assert (code, reason) == (75, "enough")


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_the_books_are_right(seed):
    world = World(seed)
    crashes = world.rng.choice([0.0, 0.0, 0.005])
    for _ in range(600):
        world.turn()
        if world.game.coordinator.exit_code is not None:
            break
        if world.rng.random() < crashes:
            world.crash()
    world.check_backlog()
    world.check_end()
