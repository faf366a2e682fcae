"""Trials that are stopped early, in virtual time."""

import random
from argparse import Namespace

import pytest

from deephpo.cli.opening import begin
from deephpo.cli.options import resolve
from deephpo.cli.simulate import play
from deephpo.drivers.durations import parse_durations
from deephpo.drivers.simulated import MasterClock, SimulatedDriver
from deephpo.engine.events import PartDone, Start, Stop, TrialEnded, TrialReported
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Judged, Reported, Started
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Trial, TrialState
from deephpo.worker.workplace import Workplace

CURVES = """
from deephpo import Fidelity, Float, Problem

def run(config, ctx):
    for epoch in range(1, ctx.budget + 1):
        loss = config["x"] + 1 / epoch
        ctx.report(epoch, loss=loss)
    return loss

problem = Problem(
    [Float("x", 0.0, 1.0)], run, "loss", fidelity=Fidelity("epoch", 9), ranks=lambda config: {ranks}
)
"""
HUNDRED = "constant:100"
"""Nine reports, ten seconds apart, and the end ten seconds later."""


@pytest.fixture
def driver(problem_file, tmp_path):
    """Three workers whose trials last a hundred seconds."""
    workplace = Workplace(problem_file(CURVES.format(ranks=1)), str(tmp_path))
    driver = SimulatedDriver(workplace, 3, parse_durations(HUNDRED, 0))
    driver.poll(1.0)
    yield driver
    driver.close()


def trial(trial_id, ranks=1):
    return Trial(trial_id, {"x": 0.5}, ranks=ranks)


def until(driver, time_s):
    """Return what happens until then, with its times."""
    events = []
    while driver.now() < time_s:
        events += [(driver.now(), event) for event in driver.poll(1.0)]
    return events


class TestOneTrial:
    def test_it_ends_with_its_next_report_and_says_nothing_more(self, driver):
        driver.start(Start(1, trial(7)))
        until(driver, 30.0)
        driver.stop(Stop(1, 7, 10.0))
        report, ended = driver.poll(1.0)
        assert (driver.now(), report.report.step) == (40.0, 4)
        assert ended == TrialEnded(1, Outcome(7, TrialState.STOPPED))
        driver.start(Start(1, trial(8)))
        assert [event.report.trial_id for _, event in until(driver, 130.0)] == [8] * 9
        assert isinstance(driver.poll(1.0)[0], TrialEnded)
        assert driver.now() == 140.0

    def test_one_that_has_no_more_to_report_is_complete(self, driver):
        driver.start(Start(1, trial(7)))
        until(driver, 90.0)
        driver.stop(Stop(1, 7, 10.0))
        (ended,) = driver.poll(1.0)
        assert (driver.now(), ended.outcome.state) == (100.0, TrialState.COMPLETED)

    def test_a_stop_for_one_that_is_over_reaches_nobody(self, driver):
        driver.start(Start(1, trial(7)))
        until(driver, 100.0)
        driver.stop(Stop(1, 7, 10.0))
        driver.start(Start(1, trial(8)))
        assert len(until(driver, 200.0)) == 10

    def test_the_others_are_not_touched(self, driver):
        for worker in (1, 2, 3):
            driver.start(Start(worker, trial(worker)))
        until(driver, 20.0)
        driver.stop(Stop(2, 2, 10.0))
        ends = [(time_s, event.worker) for time_s, event in until(driver, 100.0) if type(event) is TrialEnded]
        assert [worker for _, worker in ends] == [2, 1, 3]

    def test_all_workers_of_a_gang_are_free_at_once(self, driver):
        driver.start(Start(2, trial(7, ranks=3), others=(3, 1)))
        until(driver, 50.0)
        driver.stop(Stop(2, 7, 10.0))
        report, *ends = driver.poll(1.0)
        assert isinstance(report, TrialReported)
        assert ends == [PartDone(3, 7), PartDone(1, 7), TrialEnded(2, Outcome(7, TrialState.STOPPED))]
        assert driver.now() == 60.0
        driver.start(Start(1, trial(8)))
        assert len(until(driver, 160.0)) == 10


@pytest.fixture
def simulate(problem_file, tmp_path):
    """Return a function that simulates a search with a rule; returns its records, its journal, the clock."""

    def simulate(
        workers=4, trials=30, stop="threshold:at=3,value=0.8", ranks=1, durations=HUNDRED, name="run"
    ):
        options = resolve(Namespace(search="random", seed=1, trials=trials, stop=stop))
        target = problem_file(CURVES.format(ranks=ranks))
        session = begin(target, options, tmp_path / name, workers=workers)
        exit_code, clock = play(session, workers, parse_durations(durations, 1), False)
        assert exit_code == 0
        path = session.directory.journal
        return list(read_journal(path)), path.read_bytes(), clock

    return simulate


@pytest.mark.parametrize(("workers", "ranks"), [(1, 1), (4, 1), (8, 4)])
def test_bad_trials_end_one_report_after_their_verdict_and_their_workers_go_on_then(simulate, workers, ranks):
    """A trial with x above 0.8 - 1/3 is seen at 30 s, and ends at 40 s; the others take 100 s."""
    records, _, _ = simulate(workers=workers, ranks=ranks)
    state = RunState(records)
    assert min(state.counts[TrialState.STOPPED], state.counts[TrialState.COMPLETED]) > 5
    for entry in state.ended:
        bad = entry.config["x"] + 1 / 3 > 0.8
        assert entry.state is (TrialState.STOPPED if bad else TrialState.COMPLETED)
        assert entry.ended_s - entry.started_s == pytest.approx(40.0 if bad else 100.0)
        assert len(entry.curve) == (4 if bad else 9)
        assert entry.value == pytest.approx(entry.config["x"] + 1 / (3 if bad else 9))
        assert 1 + len(entry.others) == ranks
    assert {r.trial_id for r in records if isinstance(r, Judged)} == {
        e.id for e in state.ended if e.state is TrialState.STOPPED
    }
    starts = [r for r in records if isinstance(r, Started)]
    ends = {round(e.ended_s, 3) for e in state.ended}
    assert all(round(start.time_s, 3) in ends for start in starts[workers // ranks :])


def test_nothing_is_heard_of_a_trial_after_its_end(simulate):
    over = set()
    records, _, _ = simulate(workers=6, durations="lognormal:60,0.5", stop="asha:eta=2,first=2 + diverged")
    for record in records:
        if isinstance(record, Ended):
            assert record.outcome.trial_id not in over
            over.add(record.outcome.trial_id)
        elif isinstance(record, Reported):
            assert record.report.trial_id not in over
    assert len(over) == 30


@pytest.mark.parametrize("stop", ["asha:eta=2,first=2 + diverged", "median", "compound"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_two_simulations_with_one_seed_and_a_rule_have_the_same_journal_to_the_byte(simulate, stop, ranks):
    once, again = (
        simulate(workers=7, stop=stop, ranks=ranks, durations="lognormal:60,0.5", name=name)
        for name in ("once", "again")
    )
    assert once[1] == again[1]
    assert b'"kind":"Judged"' in once[1]


def test_the_default_rule_spares_time_and_trains_the_best_trial_to_its_end(simulate):
    stopped, none = (simulate(trials=40, stop=stop, name=stop)[0] for stop in ("auto", "none"))
    assert any(isinstance(record, Judged) for record in stopped)
    assert not any(isinstance(record, Judged) for record in none)
    assert stopped[-1].time_s < 0.8 * none[-1].time_s
    best = min(RunState(stopped).ended, key=lambda entry: entry.config["x"])
    assert best.state is TrialState.COMPLETED


@pytest.mark.parametrize(("workers", "ranks"), [(1, 1), (16, 1), (16, 4)])
def test_the_share_of_busy_time_stays_one(simulate, workers, ranks):
    _, _, clock = simulate(workers=workers, trials=60, ranks=ranks, durations="lognormal:60,0.5")
    assert 0.9 < clock.utilisation <= 1.0


class TestTheMastersClock:
    """Its time costs nothing here unless a test says so."""

    @pytest.fixture
    def clock(self):
        self.used_s = 0.0
        return MasterClock(lambda: self.used_s)

    def turn(self, clock, new=0, freed=0, starts=(), cost_s=0.0):
        """Play a turn: so many workers come and trials end, and others start, each at a cost."""
        clock.stop()
        clock.turn_to(new, freed)
        trainings = []
        for duration_s in starts:
            clock.go_on()
            self.used_s += cost_s
            clock.stop()
            trainings.append(clock.started(duration_s))
        return trainings

    def test_the_time_that_was_spared_is_not_counted(self, clock):
        self.turn(clock, new=2, starts=[100.0, 100.0])
        first, _ = self.turn(clock, freed=2, starts=[100.0, 100.0])
        clock.cut_short(first, 60.0)
        # At 140 s its worker is free, and waits 10 s for a trial of 50 s, until the other ends as well.
        self.turn(clock, freed=1, starts=[50.0], cost_s=10.0)
        assert clock.utilisation == pytest.approx((40.0 + 100.0 + 50.0) / (190.0 + 10.0))
        self.turn(clock, freed=2, starts=[10.0, 10.0])
        assert clock.utilisation == pytest.approx(210.0 / (210.0 + 10.0))

    def test_of_the_first_wave_nothing_is_counted_and_nothing_taken_away(self, clock):
        (first,) = self.turn(clock, new=1, starts=[100.0])
        clock.cut_short(first, 70.0)
        assert clock.utilisation is None
        self.turn(clock, freed=1, starts=[15.0], cost_s=5.0)
        assert clock.utilisation == pytest.approx(15.0 / 20.0)

    def test_of_a_gang_every_worker_is_spared(self, clock):
        self.turn(clock, new=3, starts=[10.0] * 3)
        gang = self.turn(clock, freed=3, starts=[100.0] * 3)
        for training in gang:
            clock.cut_short(training, 60.0)
        self.turn(clock, freed=3, starts=[40.0], cost_s=20.0)
        assert clock.utilisation == pytest.approx(160.0 / 180.0)

    def test_one_whose_end_stood_for_anothers_is_left_alone(self, clock):
        first, second = self.turn(clock, new=2, starts=[10.0, 10.0], cost_s=5.0)  # they end at 15 and 20 s
        self.turn(clock, freed=1, starts=[30.0])  # in virtual time it was the second that ended
        clock.cut_short(first, 5.0)
        self.turn(clock, freed=1, starts=[30.0])
        assert second != first
        assert clock.utilisation == 1.0

    @pytest.mark.parametrize("seed", range(5))
    def test_the_share_is_one_at_most_whatever_is_stopped_when(self, clock, seed):
        dice = random.Random(seed)
        running = self.turn(clock, new=8, starts=[dice.uniform(1.0, 100.0) for _ in range(8)])
        for _ in range(500):
            stopped = running.pop(dice.randrange(len(running)))
            if dice.random() < 0.7:
                clock.cut_short(stopped, dice.uniform(0.0, 1.0))
            running += self.turn(clock, freed=1, starts=[dice.uniform(1.0, 100.0)], cost_s=dice.uniform(0, 5))
            assert 0.0 < clock.utilisation <= 1.0
