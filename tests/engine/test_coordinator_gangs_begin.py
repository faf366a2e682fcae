"""Trials that several workers train together: on whom they begin, and in which order."""

import gc
import random
import statistics
import time
from collections import deque

import pytest

from deephpo.engine.buffer import MOST_OVERTAKINGS
from deephpo.engine.events import Ask, PartDone, Start, SuggestionsMade, Tell, WorkerReady
from deephpo.storage.records import Started
from tests.engine.game import ended, of, records
from tests.engine.gang_game import Game


class TestTheBeginning:
    def test_a_trial_starts_once_on_all_of_its_workers_the_leader_first(self):
        game = Game(4, [4], hosts=2)
        (start,) = of(game.actions, Start)
        assert (start.trial.ranks, start.workers) == (4, (1, 3, 2, 4))
        assert (start.worker, start.others) == (1, (3, 2, 4))
        assert records(game.actions, Started) == [Started(1.0, 0, 1, (3, 2, 4))]

    def test_it_waits_until_there_are_enough(self):
        game = Game(0, [3])
        for worker in (1, 2):
            assert of(game.tell(WorkerReady(worker, "node")), Start) == []
        assert of(game.tell(WorkerReady(3, "node")), Start)[0].workers == (1, 2, 3)

    def test_gangs_keep_to_their_hosts_where_they_can(self):
        game = Game(16, [4], hosts=4)
        for _, workers in game.starts:
            assert len({worker % 4 for worker in workers}) == 1
        assert len(game.starts) == 4

    def test_trials_are_asked_for_by_the_workers_that_they_need(self):
        game = Game(16, [4])
        assert game.made == 4 + 1  # one ahead
        game = Game(64, [8])
        assert game.made == 8 + 1

    def test_a_search_whose_trials_need_all_workers_knows_the_newest_result(self):
        game = Game(4, [4])
        assert game.made == 1
        for k in range(5):
            actions = game.tell(*(PartDone(worker, k) for worker in (2, 3, 4)), ended(1, k))
            assert of(actions, Tell)[0].trial.id == k
            assert game.made == k + 2

    def test_as_many_trials_are_made_as_are_wanted(self):
        game = Game(8, [2, 4, 1], trials=5)
        for _ in range(20):
            for start in [s for s in of(game.actions, Start) if game.coordinator.exit_code is None]:
                game.tell(*(PartDone(worker, start.trial.id) for worker in start.others))
                game.tell(ended(start.worker, start.trial.id))
        assert (game.coordinator.exit_code, game.made) == (0, 5)


class TestTheOrder:
    def test_a_large_trial_is_overtaken_so_often_and_then_what_is_free_is_kept_for_it(self):
        game = Game(8, [1] * 8 + [8, 1])
        running = dict.fromkeys(range(8))
        assert sorted(trial_id for trial_id, _ in game.starts) == sorted(running)
        at = {workers[0]: trial_id for trial_id, workers in game.starts}
        results = 0
        while 8 not in at.values():
            results += 1
            worker = min(at, key=at.get)
            actions = game.tell(ended(worker, at.pop(worker)))
            at |= {start.worker: start.trial.id for start in of(actions, Start)}
        assert results == MOST_OVERTAKINGS + 8
        assert of(actions, Start)[0].trial.ranks == 8

    @pytest.mark.parametrize("seed", range(10))
    def test_no_trial_waits_for_long_whatever_its_size(self, seed):
        """How many that were suggested later begin before one that was suggested earlier."""
        rng = random.Random(seed)
        sizes = [rng.choice([1, 2, 4, 8]) for _ in range(600)]
        game = Game(8, sizes, trials=600, ranks_per_trial=3.75)
        at = {}
        seen = 0
        while game.coordinator.exit_code is None:
            for start in of(game.actions[seen:], Start):
                at[start.trial.id] = start.workers
            seen = len(game.actions)
            leader, *others = at.pop(ended_id := rng.choice(sorted(at)))
            game.tell(*(PartDone(worker, ended_id) for worker in others), ended(leader, ended_id))
        order = [trial_id for trial_id, _ in game.starts]
        assert sorted(order) == list(range(600))
        for place, trial_id in enumerate(order):
            assert sum(other > trial_id for other in order[:place]) <= 5 * MOST_OVERTAKINGS

    def test_smaller_trials_are_asked_for_while_a_large_one_waits(self):
        game = Game(8, [4, 8, 2, 2])
        # 4 run, 8 waits, 2 and 2 were asked for to use the others.
        assert [len(workers) for _, workers in game.starts] == [4, 2, 2]

    def test_and_not_when_they_may_not_overtake_it_any_more(self):
        game = Game(8, [1] * 8 + [8, 1])
        waiting = []
        for _ in range(30):
            running = {s.worker: s.trial.id for s in of(game.actions, Start)}
            done = {tell.trial.id for tell in of(game.actions, Tell)}
            busy = {worker: trial_id for worker, trial_id in running.items() if trial_id not in done}
            if 8 in busy.values():
                break
            worker = min(busy, key=busy.get)
            game.tell(ended(worker, busy[worker]))
            waiting.append(len(game.coordinator._buffer))
        assert 8 in busy.values()
        assert max(waiting) <= 2

    def test_a_synchronous_batch_fills_the_workers_and_ends_with_its_last_trial(self):
        game = Game(8, [4, 4, 8, 2, 2, 4], synchronous=True)
        assert [trial_id for trial_id, _ in game.starts] == [0, 1]
        assert game.made == 2
        (_, first), (_, second) = game.starts
        game.tell(*(PartDone(worker, 0) for worker in first[1:]), ended(first[0], 0))
        assert game.made == 2
        game.tell(*(PartDone(worker, 1) for worker in second[1:]), ended(second[0], 1))
        assert game.starts[2][0] == 2


def test_a_result_costs_about_the_same_on_one_host_and_on_five_thousand(figure):
    workers, turns, blocks = 20_000, 400, 15

    class Table:
        """A coordinator with a trial on each worker, of which it ends the oldest ones."""

        def __init__(self, hosts):
            self.game = Game(0, [1])
            everybody = [WorkerReady(w, f"node{w % hosts}") for w in range(1, workers + 1)]
            self.game.tell(*everybody)
            self.running = deque((start.worker, start.trial.id) for start in of(self.game.actions, Start))
            random.Random(1).shuffle(self.running)

        def block_s(self):
            """Return the CPU seconds that some turns with a result each take."""
            handle, now_s = self.game.coordinator.handle, self.game.now_s
            began_s = time.process_time()
            for _ in range(turns):
                worker, trial_id = self.running.popleft()
                actions = handle([ended(worker, trial_id)], now_s)
                if isinstance(actions[-1], Ask):
                    made = tuple(self.game.make() for _ in range(actions[-1].q))
                    actions += handle([SuggestionsMade(made, False)], now_s)
                self.running.extend((start.worker, start.trial.id) for start in of(actions, Start))
            return time.process_time() - began_s

    one, many = Table(1), Table(5000)
    assert len(one.running) == len(many.running) == workers
    gc.disable()
    try:
        ratios = [many.block_s() / one.block_s() for _ in range(blocks)]
    finally:
        gc.enable()
    figure(f"a result on 5,000 hosts costs {statistics.median(ratios):.2f} of one on a single host")
    assert statistics.median(ratios) < 1.5
