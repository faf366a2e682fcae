"""What is said of a trial counts while it runs there, and once."""

import pytest

from deephpo.engine.events import Foretell, Tell, TrialEnded, TrialReported, Write
from deephpo.storage.records import Ignored, Reported
from deephpo.trial import Report
from tests.engine.game import Game, ended, kinds, of


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
