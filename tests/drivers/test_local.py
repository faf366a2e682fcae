import os
import shutil
import sys
import time
from argparse import Namespace
from pathlib import Path

import psutil
import pytest

from deephpo.cli.opening import begin
from deephpo.cli.options import resolve
from deephpo.drivers import keeper as keepers
from deephpo.drivers.local import LocalDriver, cores_here
from deephpo.engine.events import (
    Disband,
    PartDone,
    Start,
    TrialEnded,
    TrialReported,
    WorkerGone,
    WorkerReady,
)
from deephpo.engine.suggester import ThreadedSuggester
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Trial, TrialState
from deephpo.worker import process as processes
from deephpo.worker.workplace import Workplace

SOURCE = """
import os, time
from deephpo import Float, Problem, Space

def run(config, ctx):
    print("trial", ctx.trial_id)
    ctx.report(1, pid=os.getpid())
    time.sleep(0.02)
    {body}
    return {{"loss": config["x"] ** 2, "pid": os.getpid()}}

problem = Problem(Space([Float("x", -1.0, 1.0)]), run, objective="loss")
"""


@pytest.fixture
def search(problem_file, tmp_path):
    """Return a function that searches with real children, and returns the exit code and the records."""

    def search(body="pass", *, workers=2, watchers=(), **options):
        target = problem_file(SOURCE.format(body=body))
        given = resolve(Namespace(search="random", seed=1, **({"trials": 10} | options)))
        session = begin(target, given, tmp_path / "run", workers=workers)
        workplace = Workplace(
            target, str(tmp_path / "trials"), str(tmp_path / "output"), limits=session.limits
        )
        driver = LocalDriver(workplace, workers)
        suggester = ThreadedSuggester(session.search, session.sizing)
        exit_code = session.run(driver, suggester, watchers, workers=workers)
        return exit_code, list(read_journal(session.directory.journal))

    return search


def ended(records):
    return {r.outcome.trial_id: r.outcome for r in records if isinstance(r, Ended)}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_runs_every_trial_once_in_warm_children(search, tmp_path, workers):
    exit_code, records = search(workers=workers)
    assert exit_code == 0
    outcomes = ended(records)
    assert {o.state for o in outcomes.values()} == {TrialState.COMPLETED}
    assert set(outcomes) == set(range(10))
    assert len({o.metrics["pid"] for o in outcomes.values()}) == workers
    assert len([r for r in records if isinstance(r, Reported)]) == 10
    printed = "".join(path.read_text() for path in (tmp_path / "output").iterdir())
    assert sorted(printed.splitlines()) == sorted(f"trial {k}" for k in range(10))


def test_a_search_leaves_no_process_behind(search):
    _, records = search()
    pids = {int(outcome.metrics["pid"]) for outcome in ended(records).values()}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


CROWDED = """
import resource, sys
from deephpo.drivers.local import LocalDriver
from deephpo.errors import LaunchError
from deephpo.worker import process
from deephpo.worker.workplace import Workplace

process._FORK_PAUSES_S = ()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
try:
    LocalDriver(Workplace(sys.argv[1], sys.argv[2]), 30)
except LaunchError as error:
    print(error)
"""


def test_more_workers_than_the_machine_allows_are_refused_and_the_first_ones_end(
    command, problem_file, tmp_path
):
    target = problem_file(SOURCE.format(body="pass"))
    ended = command(sys.executable, "-c", CROWDED, target, tmp_path)
    started, rest = ended.stdout.split(maxsplit=1)
    assert 0 < int(started) < 30
    assert rest.startswith(
        "of 30 workers could be started on this machine, then no more: Too many open files. "
    )
    assert not [p for p in psutil.process_iter(["cmdline"]) if target in (p.info["cmdline"] or [])]


DESTITUTE = """
import resource, sys
from deephpo.errors import LaunchError
from deephpo.worker import process
from deephpo.worker.description import describe

process._FORK_PAUSES_S = ()
resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
try:
    describe(sys.argv[1])
except LaunchError as error:
    print(error)
"""


def test_a_machine_on_which_nothing_can_be_started_is_told_what_to_raise(command, problem_file):
    ended = command(sys.executable, "-c", DESTITUTE, problem_file(SOURCE.format(body="pass")))
    assert ended.stdout.startswith("No process can be started on this machine: Too many open files. Raise")


def test_a_worker_has_one_trial_at_a_time(search):
    _, records = search(workers=3)
    running = {}
    for record in records:
        if isinstance(record, Started):
            assert record.worker not in running
            running[record.worker] = record.trial_id
        elif isinstance(record, Ended):
            assert running.pop(record.worker) == record.outcome.trial_id
    assert running == {}


def test_trials_that_crash_cost_only_themselves(search):
    body = "ctx.trial_id % 3 or os._exit(9)"
    exit_code, records = search(body)
    outcomes = ended(records)
    failed = {k: o.reason for k, o in outcomes.items() if o.state is TrialState.FAILED}
    assert failed == dict.fromkeys((0, 3, 6, 9), "the trial's process exited with code 9")
    assert (exit_code, len(outcomes)) == (0, 10)
    assert all(f"trial {k}" in outcomes[k].detail for k in failed)
    assert not any(isinstance(record, WorkerLost) for record in records)


def test_a_search_in_which_every_trial_fails_says_so(search):
    exit_code, records = search("raise ValueError('no')", trials=3)
    assert exit_code == 3
    assert {outcome.reason for outcome in ended(records).values()} == {"ValueError: no"}


GANG = """
    met = ctx._rendezvous.agree(lambda: str(ctx.trial_id))
    assert met == str(ctx.trial_id), met
    if ctx.rank:
        return None
"""


def test_several_workers_train_each_trial_together_and_are_used_again(search):
    exit_code, records = search(GANG.strip(), workers=4, ranks_per_trial=2, trials=12)
    outcomes = ended(records)
    assert (exit_code, len(outcomes)) == (0, 12)
    assert {outcome.state for outcome in outcomes.values()} == {TrialState.COMPLETED}
    gangs = [(record.worker, *record.others) for record in records if isinstance(record, Started)]
    assert all(len(set(gang)) == 2 for gang in gangs)
    assert {worker for gang in gangs for worker in gang} == {1, 2, 3, 4}
    assert len([record for record in records if isinstance(record, Reported)]) == 12
    state = RunState(records)
    assert 0 < state.utilisation() <= 1


FATES = """
    fates = {{0: "raises", 3: "dies", 5: "hangs", 8: "leaves"}}
    fate = fates.get(ctx.trial_id) if ctx.rank == {rank} else None
    if fate == "raises":
        raise ValueError("mine")
    if fate == "dies":
        os._exit(4)
    if fate == "hangs":
        time.sleep(1000)
    if fate == "leaves":
        return 1.0
    ctx._rendezvous.agree(lambda: "here")
    if ctx.trial_id in (0, 3, 5, 8):
        time.sleep(1000)
"""


@pytest.mark.parametrize("rank", [0, 1])
def test_what_becomes_of_one_process_becomes_of_its_trial_and_of_no_other(search, monkeypatch, rank):
    monkeypatch.setattr(processes, "PART_GRACE_S", 0.3)
    monkeypatch.setattr(processes, "GRACE_S", 0.3)
    began = time.monotonic()
    exit_code, records = search(
        FATES.format(rank=rank).strip(), workers=4, ranks_per_trial=2, trials=12, trial_timeout_s=3.0
    )
    assert time.monotonic() - began < 60
    outcomes = ended(records)
    assert (exit_code, set(outcomes)) == (0, set(range(12)))
    failed = {k: o.reason for k, o in outcomes.items() if o.state is TrialState.FAILED}
    assert failed[0] == f"on rank {rank} of its 2: ValueError: mine"
    assert failed[3] == f"on rank {rank} of its 2: the trial's process exited with code 4"
    assert failed[5].endswith(" of its 2: it ran longer than the trial timeout of 3 s")
    # A leader that leaves has ended its trial; when another does, the leader hangs until its time is over.
    assert set(failed) == ({0, 3, 5} if rank == 0 else {0, 3, 5, 8})
    assert not any(isinstance(record, WorkerLost) for record in records)


RECUT = """
    names = [str(ctx.trial_id), str(os.getpid())]
    met = ctx._rendezvous.agree(lambda: " ".join(names))
    assert met.split()[0] == names[0]
    if ctx.rank:
        return None
"""


def test_gangs_of_several_sizes_are_cut_anew_from_warm_children(search, problem_file, tmp_path):
    sizes = "ranks=lambda config: 1 if config['x'] < -0.3 else 2 if config['x'] < 0.4 else 4)"
    source = SOURCE.replace('objective="loss")', f'objective="loss", {sizes}')
    target = problem_file(source.format(body=RECUT.strip()))
    given = resolve(Namespace(search="random", seed=1, trials=20))
    session = begin(target, given, tmp_path / "run", workers=4)
    workplace = Workplace(target, str(tmp_path / "trials"), str(tmp_path / "output"))
    driver = LocalDriver(workplace, 4)
    assert session.run(driver, ThreadedSuggester(session.search, session.sizing), workers=4) == 0
    records = list(read_journal(session.directory.journal))
    outcomes = ended(records)
    assert {outcome.state for outcome in outcomes.values()} == {TrialState.COMPLETED}
    gangs = [(record.worker, *record.others) for record in records if isinstance(record, Started)]
    assert {len(gang) for gang in gangs} == {1, 2, 4}
    pids = {outcome.metrics["pid"] for outcome in outcomes.values()}
    assert len(pids) <= 4  # nobody had to be replaced
    starts = {record.trial_id: len(record.others) + 1 for record in records if isinstance(record, Started)}
    trials = {trial.id: trial for trial in RunState(records).ended}
    for number, size in starts.items():
        x = trials[number].config["x"]
        assert size == (1 if x < -0.3 else 2 if x < 0.4 else 4)


def test_the_time_limit_ends_trials_that_hang(search):
    began = time.monotonic()
    exit_code, records = search("time.sleep(100)", trials=None, time_limit_s=1.0)
    assert time.monotonic() - began < 15
    assert exit_code == 3
    assert {outcome.state for outcome in ended(records).values()} == {TrialState.PREEMPTED}


def test_the_last_worker_that_is_lost_ends_the_search_with_the_reason(search):
    body = "open(__file__, 'w').write('raise ValueError(7)'); os._exit(1)"
    exit_code, records = search(body)
    assert exit_code == 75
    assert {record.worker for record in records if isinstance(record, WorkerLost)} == {1, 2}
    reason = RunState(records).finished.reason
    assert reason.startswith("no worker is left; the last one: ")
    assert "line 1: ValueError: 7" in reason


def test_the_journal_tells_the_whole_search(search):
    class Onlooker:
        def note(self, record, state):
            self.state = state

        def refresh(self, state):
            pass

    onlooker = Onlooker()
    _, records = search(watchers=[onlooker])
    replayed, live = RunState(records), onlooker.state
    assert replayed.declaration.name == "task"
    assert [(t.id, t.value, t.worker) for t in replayed.ended] == [
        (t.id, t.value, t.worker) for t in live.ended
    ]
    assert replayed.best.value == min(t.value for t in replayed.ended)
    assert 0 < replayed.utilisation() <= 1


def test_one_worker_gives_the_same_search_for_the_same_seed(search, tmp_path):
    def values():
        _, records = search(workers=1, trials=5)
        shutil.rmtree(tmp_path / "run")
        return [outcome.value for outcome in ended(records).values()]

    assert values() == values()


class TestTheDriver:
    @pytest.fixture
    def start(self, problem_file, tmp_path):
        drivers = []

        def start(body="pass", workers=2):
            target = problem_file(SOURCE.format(body=body))
            drivers.append(LocalDriver(Workplace(target, str(tmp_path / "trials")), workers))
            return drivers[-1]

        yield start
        for driver in drivers:
            driver.close()

    @staticmethod
    def events_until(driver, kind, count=1):
        events, deadline = [], time.monotonic() + 30
        while sum(isinstance(event, kind) for event in events) < count:
            assert time.monotonic() < deadline
            events += driver.poll(0.1)
        return events

    def test_each_worker_is_ready_once_also_after_a_crash(self, start):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        events = self.events_until(driver, TrialEnded)
        driver.start(Start(1, Trial(1, {"x": 0.5})))
        events += self.events_until(driver, TrialEnded)
        assert [type(event) for event in events] == [TrialReported, TrialEnded] * 2

    def test_a_worker_whose_child_cannot_be_had_again_is_gone_and_says_why(self, start, problem_file):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        problem_file("raise ValueError('edited')\n")
        events = []
        for worker in (1, 2):
            driver.start(Start(worker, Trial(worker, {"x": 0.5})))
            events += self.events_until(driver, WorkerGone)
        gone = [event for event in events if isinstance(event, WorkerGone)]
        assert [event.worker for event in gone] == [1, 2]
        assert all("edited" in event.reason for event in gone)

    def test_word_to_a_worker_that_is_just_lost_is_no_error(self, start, problem_file):
        driver = start("os._exit(1)")
        self.events_until(driver, WorkerReady, 2)
        problem_file("raise ValueError('edited')\n")
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        self.events_until(driver, WorkerGone)
        # The engine may have decided so before it came to the event.
        driver.start(Start(1, Trial(1, {"x": 0.5})))
        driver.shut_down(1)
        driver.poll(0.0)

    def test_poll_waits_no_longer_than_its_patience(self, start):
        driver = start()
        self.events_until(driver, WorkerReady, 2)
        began = time.monotonic()
        assert driver.poll(0.1) == []
        assert 0.05 < time.monotonic() - began < 2

    @pytest.mark.parametrize(
        ("body", "least_s", "most_s"),
        [
            ("os.write(1, b'x' * 200_000); written.touch(); os._exit(0)", 0.0, 1.0),
            ("written.touch(); raise InterruptedError", 0.0, 1.0),
            ("os.write(1, b'x' * 200_000); written.touch()", 1.4, 3.0),
        ],
        ids=["dies", "returns", "goes on"],
    )
    def test_at_the_end_a_trial_may_save_its_state_for_a_while(
        self, body, least_s, most_s, start, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(keepers, "GRACE_S", 1.5)
        written = tmp_path / "written"
        handler = f"import pathlib, signal\n    written = pathlib.Path({str(written)!r})\n"
        handler += f"    def save(number, frame):\n        {body}\n    signal.signal(signal.SIGTERM, save)\n"
        driver = start(f"{handler}    ctx.report(2, x=1.0)\n    time.sleep(100); time.sleep(100)")
        self.events_until(driver, WorkerReady, 2)
        for worker in (1, 2):
            driver.start(Start(worker, Trial(worker, {"x": 0.5})))
        self.events_until(driver, TrialReported, 4)
        began = time.monotonic()
        driver.close()
        assert least_s <= time.monotonic() - began < most_s
        assert written.exists()

    def test_its_clock_starts_with_the_search(self, start):
        driver = start()
        assert 0 <= driver.now() < 5
        assert driver.now() <= driver.now()

    def test_children_keep_their_threads_to_their_share_of_the_cores(
        self, problem_file, tmp_path, monkeypatch
    ):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        source = SOURCE.format(body='return int(os.environ["OMP_NUM_THREADS"])')
        driver = LocalDriver(Workplace(problem_file(source), str(tmp_path)), 1)
        self.events_until(driver, WorkerReady)
        driver.start(Start(1, Trial(0, {"x": 0.5})))
        outcome = self.events_until(driver, TrialEnded)[-1].outcome
        driver.close()
        assert outcome.value == cores_here() <= os.cpu_count()

    @pytest.fixture
    def gang(self, start):
        """Return a function that starts a driver, and on it a trial of two workers."""

        def gang(body):
            driver = start(body)
            self.events_until(driver, WorkerReady, 2)
            driver.start(Start(2, Trial(7, {"x": 0.5}, ranks=2), 0, None, (1,)))
            return driver

        return gang

    def test_the_leader_alone_ends_and_reports_a_trial(self, gang):
        driver = gang(GANG.strip())
        events = self.events_until(driver, (TrialEnded, PartDone), 2)
        assert {type(event): event.worker for event in events} == {
            TrialReported: 2,
            TrialEnded: 2,
            PartDone: 1,
        }

    def test_a_part_that_goes_on_is_ended_and_its_worker_is_there_for_the_next_trial(self, gang, monkeypatch):
        monkeypatch.setattr(processes, "PART_GRACE_S", 0.3)
        driver = gang("if ctx.trial_id == 7 and ctx.rank: time.sleep(1000)")
        self.events_until(driver, TrialEnded)
        began = time.monotonic()
        driver.disband(Disband(1, 7))
        driver.disband(Disband(2, 7))  # it has ended already
        ended = self.events_until(driver, TrialEnded)[-1]
        assert time.monotonic() - began < 3
        assert (ended.worker, ended.outcome.reason) == (1, "its trial was over")
        for worker in (1, 2):
            driver.start(Start(worker, Trial(7 + worker, {"x": 0.5})))
        outcomes = [e.outcome for e in self.events_until(driver, TrialEnded, 2) if isinstance(e, TrialEnded)]
        assert [outcome.value for outcome in outcomes] == [0.25, 0.25]

    def test_a_worker_that_is_sent_home_may_still_be_told_where_to_meet(self, gang):
        driver = gang("if ctx.rank == 0: time.sleep(0.5)\n    " + GANG.strip())
        driver.shut_down(1)
        events = self.events_until(driver, TrialEnded)
        assert events[-1].outcome.value == 0.25

    def test_at_the_end_no_process_of_a_gang_is_left(self, gang):
        driver = gang("print(os.getpid(), flush=True); ctx._rendezvous.agree(lambda: 'x'); time.sleep(1000)")
        reported = self.events_until(driver, TrialReported)[-1]
        pids = [keeper._process._process.pid for keeper in driver._keepers.values()]
        assert reported.report.metrics["pid"] in pids
        driver.close()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
