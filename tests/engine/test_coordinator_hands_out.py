"""Who gets which trial, and when the search is asked for more."""

import gc
import random
import time

from deephpo.engine.buffer import depth_for
from deephpo.engine.demand import MOST_PER_ASK
from deephpo.engine.events import Ask, Start, SuggestionsMade, Tell, WorkerAlive, WorkerGone, WorkerReady
from deephpo.storage.records import Asked, Ended, Started, WorkerJoined
from tests.engine.game import Game, ended, kinds, of, trial


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
