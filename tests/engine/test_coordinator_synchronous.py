"""Trials in batches: the next one when the last trial of the one before has ended."""

from deephpo.engine.backlog import Backlog
from deephpo.engine.demand import MOST_PER_ASK
from deephpo.engine.events import Ask, Start, WorkerGone, WorkerReady
from tests.engine.game import Game, ended, kinds, trial


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
