import itertools
import math
from argparse import Namespace

import pytest

from deephpo.cli.opening import begin
from deephpo.cli.options import resolve
from deephpo.cli.simulate import play
from deephpo.drivers.durations import parse_durations
from deephpo.drivers.simulated import GRAIN_S, MasterClock, SimulatedDriver
from deephpo.engine.events import PartDone, Start, TrialEnded, WorkerReady
from deephpo.engine.suggester import InlineSuggester
from deephpo.errors import ProblemError
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Asked, Ended, Finished, Reported, Started, Suggested
from deephpo.storage.run_state import RunState
from deephpo.trial import Trial, TrialState
from deephpo.worker.workplace import Workplace

SOURCE = """
from deephpo import Float, Integer, Problem, Space

def run(config, ctx):
    for step in range(1, 4):
        ctx.report(step, loss=config["x"] / step)
    if ctx.trial_id % 7 == 6:
        raise ValueError("every seventh")
    return (config["x"] - 0.3) ** 2 + config["n"]

problem = Problem(
    Space([Float("x", 0.0, 1.0), Integer("n", 0, 9)]), run, objective="loss"{more}
)
"""


@pytest.fixture
def simulate(problem_file, tmp_path):
    """Return a function that simulates a search; returns the exit code, the journal's path and the driver."""
    count = iter(range(100))

    def simulate(workers=4, trials=30, time_limit_s=None, durations="lognormal:60,0.5", seed=1, **other):
        target = problem_file(SOURCE.format(more=other.get("more", "")))
        given = {"search": other.get("search", "random"), **other.get("strategy", {})}
        options = resolve(Namespace(**given, seed=seed, trials=trials, time_limit_s=time_limit_s))
        session = begin(target, options, tmp_path / f"run-{next(count)}")
        session.real_time = False
        driver = SimulatedDriver(
            Workplace(target, str(tmp_path / "trials")),
            workers,
            parse_durations(durations, seed),
            problem_decides=other.get("problem_decides", True),
            until_s=time_limit_s or math.inf,
        )
        exit_code = session.run(driver, InlineSuggester(session.search))
        return exit_code, session.directory.journal, driver

    return simulate


def of(path, kind):
    return [record for record in read_journal(path) if isinstance(record, kind)]


@pytest.mark.parametrize(("search", "strategy"), [("random", {}), ("ambs", {"initial": 5})])
def test_two_simulations_with_one_seed_have_the_same_journal_to_the_byte(simulate, search, strategy):
    journals = [simulate(search=search, strategy=strategy)[1].read_bytes() for _ in range(2)]
    assert journals[0] == journals[1]
    assert journals[0].count(b"\n") > 30


def test_another_seed_is_another_search(simulate):
    journals = [simulate(seed=seed)[1].read_bytes() for seed in (1, 2)]
    assert journals[0] != journals[1]


@pytest.mark.parametrize("workers", [1, 4, 50])
def test_every_trial_is_run_once_and_time_never_goes_back(simulate, workers):
    exit_code, path, _ = simulate(workers=workers)
    assert exit_code == 0
    records = list(read_journal(path))
    times = [record.time_s for record in records]
    assert times == sorted(times)
    assert sorted(r.trial_id for r in of(path, Started)) == list(range(30))
    state = RunState(records)
    assert (state.counts[TrialState.COMPLETED], state.counts[TrialState.FAILED]) == (26, 4)
    assert len(state.workers) == workers


@pytest.mark.parametrize(("workers", "late_s"), [(1, 0.0), (4, GRAIN_S), (50, GRAIN_S)])
def test_a_trial_lasts_as_long_as_its_duration_says_and_is_noticed_within_the_grain(
    simulate, workers, late_s
):
    _, path, _ = simulate(durations="lognormal:60,0.5", seed=3, workers=workers)
    durations = parse_durations("lognormal:60,0.5", 3)
    for trial in RunState(read_journal(path)).ended:
        assert -1e-5 <= trial.ended_s - trial.started_s - durations(trial.id) <= late_s + 1e-5


def test_what_is_due_within_the_grain_comes_in_one_turn(simulate):
    # 400 trials of a second or so on 200 workers: 4 end in 20 ms.
    _, path, _ = simulate(workers=200, trials=1000, durations="uniform:0.5,1.5")
    durations = parse_durations("uniform:0.5,1.5", 1)
    due = {r.trial_id: r.time_s + durations(r.trial_id) for r in of(path, Started)}
    turns = {}
    for record in of(path, Ended):
        turns.setdefault(record.time_s, []).append(due[record.outcome.trial_id])
    assert max(map(len, turns.values())) > 3
    assert len(turns) < 600
    for time_s, ends_s in turns.items():
        assert ends_s == sorted(ends_s)
        assert time_s - GRAIN_S - 1e-5 <= ends_s[0] <= ends_s[-1] <= time_s + 1e-5
    # So there is one question for all of them, and not one for each.
    assert len(of(path, Asked)) <= len(turns) + 4


def test_the_reports_of_a_trial_come_evenly_between_its_start_and_its_end(simulate):
    _, path, _ = simulate(durations="constant:40")
    for trial in RunState(read_journal(path)).ended:
        assert [(round(t - trial.started_s, 3), step) for t, step, _ in trial.curve] == [
            (10.0, 1),
            (20.0, 2),
            (30.0, 3),
        ]
    assert len(of(path, Reported)) == 90


def test_the_reports_of_all_workers_come_in_the_order_of_virtual_time(simulate):
    _, path, _ = simulate(workers=8)
    reports = of(path, Reported)
    assert [r.time_s for r in reports] == sorted(r.time_s for r in reports)
    assert len(reports) == 90
    changes = sum(a.report.trial_id != b.report.trial_id for a, b in itertools.pairwise(reports))
    assert changes > 45  # they interleave; one trial after the other would be 29


@pytest.mark.parametrize(("trials", "exit_code"), [(None, 0), (1000, 75)])
def test_the_time_limit_is_kept_to_the_second(simulate, trials, exit_code):
    code, path, _ = simulate(trials=trials, time_limit_s=600.0)
    assert code == exit_code
    (finished,) = of(path, Finished)
    # It ends early when the last workers are idle and no further trial would be done in time.
    assert 540.0 < finished.time_s <= 600.0
    assert max(r.time_s for r in of(path, Started)) < 560.0
    ends = of(path, Ended)
    preempted = [r for r in ends if r.outcome.state is TrialState.PREEMPTED]
    assert all(r.time_s == 600.0 for r in preempted)
    assert len(preempted) <= 2
    assert len(ends) > 20


def test_trials_that_still_run_when_the_time_is_up_are_preempted(simulate):
    _, path, _ = simulate(trials=None, time_limit_s=600.0, durations="constant:700")
    ends = [(record.time_s, record.outcome.state) for record in of(path, Ended)]
    assert ends == [(600.0, TrialState.PREEMPTED)] * 4
    assert of(path, Finished)[0].time_s == 600.0


def test_a_search_that_ends_before_its_time_limit_ends_by_itself(simulate):
    code, path, _ = simulate(trials=5, time_limit_s=1e6)
    assert (code, of(path, Finished)[0].reason) == (0, "all 5 trials are done")


def test_a_problem_that_says_how_long_it_takes_is_believed(simulate):
    _, path, _ = simulate(more=", duration=lambda config: 10 + config['n']")
    for trial in RunState(read_journal(path)).ended:
        assert trial.ended_s - trial.started_s == pytest.approx(10 + trial.config["n"], abs=1e-5)


def test_a_problem_is_not_believed_when_durations_are_given(simulate):
    more = ", duration=lambda config: 1e6"
    _, path, _ = simulate(durations="constant:5", more=more, problem_decides=False)
    assert of(path, Finished)[0].time_s == pytest.approx(40.0)  # 8 rounds of 5 s for 30 trials on 4 workers


def test_a_space_with_nothing_untried_ends_the_simulation(simulate):
    _, path, _ = simulate(search="grid", trials=None, time_limit_s=1e9)
    assert of(path, Suggested)[-1].exhausted
    assert "nothing more to try" in of(path, Finished)[0].reason


def test_the_utilisation_of_a_few_workers_is_nearly_one(simulate):
    _, path, driver = simulate(workers=16, trials=150)
    assert driver.clock.utilisation is not None
    assert 0.99 < driver.clock.utilisation <= 1.0
    assert driver.clock.cpu_s > 0
    assert 0.5 < RunState(read_journal(path)).utilisation() <= 1.0


def test_a_master_that_is_too_slow_shows_in_the_utilisation(simulate):
    _, _, driver = simulate(workers=16, trials=100, durations="constant:0.001")
    assert 0 < driver.clock.utilisation < 0.9


class TestTheMastersClock:
    @pytest.fixture
    def process(self):
        """A process whose CPU time passes as the test says."""

        class Process:
            used_s = 100.0

            def __call__(self):
                return self.used_s

        return Process()

    @pytest.fixture
    def turn(self, process):
        """A function that plays a turn: so many workers come and trials end, and others start, at a cost."""
        clock = MasterClock(process)

        def turn(new=0, freed=0, before_s=0.0, starts=(), cost_s=0.0):
            clock.stop()
            clock.turn_to(new, freed)
            clock.go_on()
            process.used_s += before_s
            for duration_s in starts:
                process.used_s += cost_s
                clock.stop()
                process.used_s += 1000.0  # the evaluation, which is free
                clock.started(duration_s)
                clock.go_on()
            clock.stop()
            return clock

        return turn

    def test_the_first_wave_is_start_up_and_counts_no_wait(self, turn):
        clock = turn(new=3, before_s=1.0, starts=[10.0, 10.0, 10.0], cost_s=0.5)
        assert (clock.startup_s, clock.cpu_s) == (2.5, 2.5)
        assert clock.utilisation is None

    def test_a_worker_waits_from_the_end_of_its_trial_until_it_is_its_turn(self, turn):
        turn(new=2, starts=[10.0, 20.0])
        # At 10 s the first is free, and waits 1 + 2 s for a trial of 7 s: until 20 s.
        clock = turn(freed=1, before_s=1.0, starts=[7.0], cost_s=2.0)
        assert clock.utilisation == pytest.approx(7.0 / 10.0)
        # Both are free at 20 s; the one waits 1 s, the other 2 s.
        clock = turn(freed=2, starts=[10.0, 10.0], cost_s=1.0)
        assert clock.utilisation == pytest.approx(27.0 / (27.0 + 3.0 + 1.0 + 2.0))
        assert clock.cpu_s == 5.0
        assert clock.startup_s == 0.0

    def test_a_turn_is_not_begun_before_its_last_result_came(self, turn):
        turn(new=2, starts=[10.0, 14.0])
        clock = turn(freed=2, starts=[10.0, 10.0], cost_s=1.0)
        # Starts at 15 and 16 s, of workers that are free since 10 and 14 s.
        assert clock.utilisation == pytest.approx(20.0 / (20.0 + 5.0 + 2.0))

    def test_a_master_that_is_busy_lets_what_came_meanwhile_wait(self, turn):
        turn(new=2, starts=[10.0, 11.0])
        turn(freed=1, before_s=5.0, starts=[100.0])  # until 15 s
        clock = turn(freed=1, starts=[100.0])
        assert clock.utilisation == pytest.approx(200.0 / (200.0 + 5.0 + 4.0))

    def test_work_for_nobody_in_particular_costs_no_wait_while_the_master_has_time(self, turn):
        turn(new=1, starts=[10.0])
        turn(before_s=9.0)
        clock = turn(freed=1, starts=[10.0])
        assert (clock.utilisation, clock.cpu_s) == (1.0, 9.0)
        turn(before_s=12.0)  # 2 s too long
        clock = turn(freed=1, starts=[10.0])
        assert clock.utilisation == pytest.approx(20.0 / 22.0)

    def test_all_workers_of_a_gang_wait_until_there_are_enough_of_them(self, turn):
        turn(new=2, starts=[10.0, 14.0])
        turn(freed=1)  # at 10 s the first is free, and the next trial needs two
        clock = turn(freed=1, starts=[6.0, 6.0])
        assert clock.utilisation == pytest.approx(12.0 / (12.0 + 4.0))

    def test_the_spread_of_a_long_start_up_is_paid_once(self, turn):
        """100 workers are started a second apart, and each of their trials lasts 200 s, in any order."""
        turn(new=100, starts=[200.0] * 100, cost_s=1.0)
        for _ in range(500):
            clock = turn(freed=1, starts=[200.0])
        assert clock.startup_s == 100.0
        assert clock.utilisation == 1.0

    def test_a_worker_that_gets_nothing_more_is_not_counted(self, turn):
        turn(new=2, starts=[10.0, 10.0])
        clock = turn(freed=2, starts=[30.0])
        turn(freed=1, before_s=50.0)
        assert clock.utilisation == 1.0


def test_the_search_answers_before_anything_else_happens(problem_file, tmp_path):
    driver = SimulatedDriver(
        Workplace(problem_file(SOURCE.format(more="")), str(tmp_path)), 3, parse_durations("constant:1", 0)
    )
    assert driver.poll(0.0) == []
    assert driver.poll(1.0) == [WorkerReady(worker, "simulated") for worker in (1, 2, 3)]
    assert driver.poll(1.0) == []
    for worker in (3, 1, 2):
        driver.start(Start(worker, Trial(worker, {"x": 0.5, "n": 1})))
    assert driver.poll(0.0) == []
    events = [driver.poll(1.0) for _ in range(4)]
    assert [len(turn) for turn in events] == [3, 3, 3, 3]
    assert [(type(event), event.worker) for event in events[3]] == [(TrialEnded, w) for w in (3, 1, 2)]
    assert driver.now() == 1.0
    driver.close()


def test_a_problem_that_cannot_be_loaded_any_more_ends_the_simulation(problem_file, tmp_path):
    target = problem_file("raise ValueError('edited')\n", "edited.py")
    driver = SimulatedDriver(Workplace(target, str(tmp_path)), 2, parse_durations("constant:1", 0))
    with pytest.raises(ProblemError, match=r"edited\.py, line 1: ValueError: edited"):
        driver.start(Start(1, Trial(0, {"x": 0.5, "n": 1})))
    driver.close()


GANGS = """
from deephpo import Categorical, Float, Problem, Space

problem = Problem(
    Space([Float("x", 0.0, 1.0), Categorical("k", ["1", "2", "4", "8"])]),
    lambda config: config["x"],
    ranks=lambda config: int(config["k"]),
)
"""


class TestTrialsOfSeveralWorkers:
    @pytest.fixture
    def simulate(self, problem_file, tmp_path):
        """Return a function that simulates trials of 1, 2, 4 and 8 workers, and returns session and clock."""

        def simulate(workers, trials, seed=1, name="run", **other):
            options = resolve(Namespace(search="random", seed=seed, trials=trials, **other))
            session = begin(problem_file(GANGS), options, tmp_path / name, workers=workers)
            exit_code, clock = play(session, workers, parse_durations("lognormal:60,0.5", seed), False)
            assert exit_code == 0
            return session, clock

        return simulate

    def test_each_trial_has_its_workers_for_its_whole_duration_and_no_other_has_them(self, simulate):
        session, _ = simulate(16, 200)
        durations = parse_durations("lognormal:60,0.5", 1)
        spans = {worker: [] for worker in range(1, 17)}
        for trial in session.state.ended:
            assert 1 + len(trial.others) == int(trial.config["k"])
            assert -1e-5 <= trial.ended_s - trial.started_s - durations(trial.id) <= GRAIN_S + 1e-5
            for worker in (trial.worker, *trial.others):
                spans[worker].append((trial.started_s, trial.ended_s))
        assert len(session.state.ended) == 200
        for taken in spans.values():
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(sorted(taken)))

    def test_two_of_one_seed_have_the_same_journal_to_the_byte(self, simulate):
        journals = [simulate(32, 150, name=name)[0].directory.journal.read_bytes() for name in ("a", "b")]
        assert journals[0] == journals[1]
        assert b'"others"' in journals[0]

    def test_the_command_line_overrules_the_problem(self, simulate):
        session, _ = simulate(8, 30, ranks_per_trial=4)
        assert {len(trial.others) for trial in session.state.ended} == {3}

    def test_of_1024_workers_nine_tenths_and_more_are_at_work_all_the_time(self, simulate, figure):
        workers = 1024
        session, clock = simulate(workers, 3000)
        trials = session.state.ended
        assert {1 + len(trial.others) for trial in trials} == {1, 2, 4, 8}
        last_s = max(trial.started_s for trial in trials)  # then there is too little left for all
        busy_s = sum((min(t.ended_s, last_s) - t.started_s) * (1 + len(t.others)) for t in trials)
        busy = busy_s / (workers * last_s)
        figure(
            f"trials of 1, 2, 4 and 8 ranks keep 1,024 busy for {100 * busy:.2f} % of their time, "
            f"{100 * clock.utilisation:.2f} % beside the master's work"
        )
        assert busy >= 0.9
        assert clock.utilisation >= 0.9

    def test_of_as_many_workers_as_the_largest_trial_needs_most_are_at_work(self, simulate):
        session, _ = simulate(8, 400)
        assert session.state.utilisation() >= 0.8

    def test_every_member_is_free_when_the_leader_is(self, problem_file, tmp_path):
        workplace = Workplace(problem_file(GANGS), str(tmp_path))
        driver = SimulatedDriver(workplace, 3, parse_durations("constant:5", 0))
        driver.poll(1.0)
        driver.start(Start(2, Trial(0, {"x": 0.5, "k": "2"}, ranks=2), others=(3,)))
        driver.start(Start(1, Trial(1, {"x": 0.5, "k": "1"})))
        events = driver.poll(1.0)
        assert [(type(event), event.worker) for event in events] == [
            (PartDone, 3),
            (TrialEnded, 2),
            (TrialEnded, 1),
        ]
        assert driver.now() == 5.0
        driver.close()
