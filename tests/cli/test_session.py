"""One search from its parts: its directory, its configuration, its limits, its end."""

import os
import sys
import time
from argparse import Namespace
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from threadpoolctl import threadpool_info, threadpool_limits

from deephpo.cli import opening
from deephpo.cli.main import main
from deephpo.cli.opening import begin, default_directory, resume
from deephpo.cli.options import SearchOptions, resolve
from deephpo.cli.provenance import write_config
from deephpo.engine.deadline import Deadline
from deephpo.errors import OptionError, ProblemError, RunDirectoryError
from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.records import Begun, Finished, Resumed, WorkerJoined
from deephpo.worker.limits import Limits

LIMITED = """
from deephpo import Float, Problem

problem = Problem([Float("x", 0.0, 1.0)], lambda config: 0.0{more})
"""


def options(search: str = "random", seed: int | None = 1, **given: object) -> SearchOptions:
    return resolve(Namespace(search=search, seed=seed, **{"trials": 2, **given}))


def test_a_default_directory_never_is_one_that_exists(declaration, tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2030, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "datetime", Clock)
    names = []
    for _ in range(3):
        path = default_directory(declaration)
        path.mkdir(parents=True)
        names.append(path.name)
    assert names == ["demo-20300102-030405", "demo-20300102-030405-2", "demo-20300102-030405-3"]


def test_a_search_thinks_on_one_core_new_or_resumed(problem, tmp_path):
    path = tmp_path / "run"

    def libraries():
        return [library for library in threadpool_info() if library["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        session = begin(problem, options("auto"), path)
        session.journal.append([session.opening])
        session.give_up()
        assert libraries()
        assert all(library["num_threads"] == 1 for library in libraries())
    with threadpool_limits(2, user_api="blas"):
        resume(session.directory, lambda given: given, accept=False).give_up()
        assert all(library["num_threads"] == 1 for library in libraries())


def test_the_configuration_file_holds_what_decided_the_search(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["deephpo", "search", "quick.py"])
    session = begin(problem, options(), tmp_path / "run")
    directory = session.directory
    write_config(session, directory, "2 local workers")
    content = yaml.safe_load(directory.config.read_text())
    assert content["command"] == "deephpo search quick.py"
    assert content["problem"]["objective"] == "loss"
    assert content["space"] == session.declaration.space.to_dict()
    assert content["options"]["seed"] == {"value": 1, "origin": "command line"}
    assert content["versions"].keys() >= {"python", "deephpo", "numpy", "scikit-learn"}
    assert {path.name for path in directory.path.iterdir()} == {"config.yaml", "journal.jsonl"}


@pytest.mark.parametrize(
    ("target", "given", "error"),
    [("nowhere.py", options(), ProblemError), (None, replace(options(), search="ambz"), OptionError)],
)
def test_a_search_that_cannot_be_is_refused_before_anything_is_written(
    target, given, error, problem, tmp_path
):
    with pytest.raises(error):
        begin(target or problem, given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_options_that_do_not_go_together_are_refused_before_anything_is_written(problem, tmp_path, refusal):
    words = ["--search", "evolution", "--population", 5, "--run-dir", tmp_path / "run"]
    assert "population must be at least tournament, which is 20" in refusal("search", problem, *words)
    assert not (tmp_path / "run").exists()


WIDER = """
from deephpo import Float, Integer, Problem

parameters = [Integer("units", 1, 9), Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)]
problem = Problem(parameters, lambda config: config["x"], objective="loss")
"""


@pytest.mark.parametrize("source", ["", "results.csv"], ids=["run", "table"])
def test_a_warm_start_names_the_parameters_that_it_drops(problem, problem_file, tmp_path, capsys, source):
    run = tmp_path / "wide"
    words = ["search", problem_file(WIDER, "wider.py"), "--trials", "3", "--workers", "1"]
    assert main([*words, "--search", "random", "--run-dir", str(run)]) == 0
    capsys.readouterr()
    session = begin(problem, options(warm_start=run / source), None, keep=False)
    session.journal.close()
    assert capsys.readouterr().err == (
        f"warm start with 3 observations from {run / source}; "
        "parameters that the space does not have are left out: units, y\n"
    )


class TestAnEmptyJournal:
    """What a search leaves that is killed before its first record."""

    @pytest.fixture
    def left(self, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "journal.jsonl").touch()
        return tmp_path / "run"

    def test_is_taken_over_by_a_new_search(self, problem, left, said):
        said("search", problem, "--search", "random", "--trials", 2, "--workers", 1, "--run-dir", left)
        kinds = [type(record) for record in read_journal(left / "journal.jsonl")]
        assert kinds[0] is Begun
        assert kinds[-1] is Finished

    def test_is_left_to_the_search_that_is_about_to_begin(self, problem, left):
        first = begin(problem, options(), left)
        with pytest.raises(RunDirectoryError, match="Another search is writing to"):
            begin(problem, options(), left)
        first.journal.close()

    def test_is_left_to_whom_begins_before_the_claim(self, problem, left, monkeypatch):
        claim = opening.claim

        def claim_late(*arguments):
            (left / "journal.jsonl").write_text("the truth\n")
            claim(*arguments)

        monkeypatch.setattr(opening, "claim", claim_late)
        with pytest.raises(RunDirectoryError, match="already holds a run"):
            begin(problem, options(), left)
        assert (left / "journal.jsonl").read_text() == "the truth\n"


def test_a_simulation_needs_no_directory(problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = begin(problem, options(), None, keep=False)
    session.journal.append([session.opening])
    assert session.directory is None
    assert {path.name for path in tmp_path.iterdir()} <= {"quick.py", "__pycache__"}


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("quick.py", "{here}/quick.py"),
        ("./quick.py:problem", "{here}/quick.py:problem"),
        ("pack.quick", "pack.quick"),
        ("pack.pytorch_quick:problem", "pack.pytorch_quick:problem"),
        ("odd.pyx/quick.py", "{here}/odd.pyx/quick.py"),
    ],
)
def test_the_journal_tells_where_the_problem_is_from_any_working_directory(
    target, kept, problem, tmp_path, monkeypatch
):
    for place in ("pack", "odd.pyx"):
        (tmp_path / place).mkdir()
        for name in ("quick.py", "pytorch_quick.py"):
            (tmp_path / place / name).write_text(Path(problem).read_text())
    monkeypatch.chdir(tmp_path)
    session = begin(target, options(), tmp_path / "run")
    assert session.opening.target == kept.format(here=tmp_path)


@pytest.mark.parametrize(
    ("more", "given", "limits"),
    [
        ("", {}, Limits()),
        (", trial_timeout=90, trial_memory=2**30", {}, Limits(90, 2**30)),
        (
            ", trial_timeout=90, trial_memory=2**30",
            {"trial_timeout_s": 5.0, "trial_memory_bytes": 2**20},
            Limits(5, 2**20),
        ),
        (", trial_timeout=90", {"trial_memory_bytes": int(2.5 * 2**30)}, Limits(90, int(2.5 * 2**30))),
    ],
)
def test_the_command_lines_limits_go_before_the_problems(more, given, limits, problem_file):
    target = problem_file(LIMITED.format(more=more))
    assert begin(target, options(**given), None, keep=False).limits == limits


class TestTheDeadline:
    @pytest.fixture(autouse=True)
    def _no_job(self, monkeypatch):
        for name in ("DEEPHPO_END_TIME", "SLURM_JOB_END_TIME"):
            monkeypatch.delenv(name, raising=False)

    @pytest.fixture
    def session(self, problem):
        return lambda **given: begin(problem, options(**given), None, keep=False)

    def test_without_a_limit_there_is_none(self, session):
        assert (session().deadline, session().notice_s) == (None, 0.0)

    def test_a_time_limit_is_one_that_was_asked_for(self, session):
        assert session(time_limit_s=200.0).deadline == Deadline(200.0)
        assert session(time_limit_s=200.0).notice_s == 10.0
        assert session(time_limit_s=7200.0).notice_s == 30.0

    @pytest.mark.parametrize("variable", ["DEEPHPO_END_TIME", "SLURM_JOB_END_TIME"])
    def test_the_sooner_end_counts(self, variable, session, monkeypatch):
        monkeypatch.setenv(variable, str(int(time.time()) + 1000))
        for given in ({}, {"time_limit_s": 2000.0}):
            deadline = session(**given).deadline
            assert deadline.time_s == pytest.approx(970, abs=5)
            assert not deadline.asked_for
        assert session(time_limit_s=100.0).deadline == Deadline(100.0)

    def test_our_own_variable_goes_before_the_schedulers(self, session, monkeypatch):
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 50))
        monkeypatch.setenv("DEEPHPO_END_TIME", str(time.time() + 500))
        assert session().deadline.time_s == pytest.approx(475, abs=5)

    def test_virtual_time_knows_no_job(self, session, monkeypatch):
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 50))
        simulated = session()
        simulated.real_time = False
        assert simulated.deadline is None

    @pytest.mark.parametrize("nonsense", ["soon", "", "nan", "inf", "12:30", "2026-01-01"])
    def test_an_end_that_is_no_time_is_refused(self, nonsense, session, monkeypatch):
        monkeypatch.setenv("DEEPHPO_END_TIME", nonsense)
        with pytest.raises(OptionError, match="DEEPHPO_END_TIME must be a time in seconds since the epoch"):
            session()


class TestResuming:
    @staticmethod
    def same(options):
        return options

    @pytest.fixture
    def stopped(self, problem, tmp_path):
        """Return the directory of a search that was killed when it had just begun."""
        session = begin(problem, options(), tmp_path / "run")
        session.journal.append([session.opening])
        session.journal.close()
        return session.directory

    def test_the_search_of_a_directory_goes_on_with_its_options(self, stopped, problem):
        session = resume(stopped, self.same, accept=False)
        assert (session.target, session.options.trials, session.options.seed) == (problem, 2, 1)
        assert isinstance(session.opening, Resumed)
        # Without a fidelity no trial is stopped.
        chosen = {"stop": {"value": "none", "origin": "default"}}
        assert session.opening.options == options().to_dict() | chosen
        assert session.journal.descriptor > 2
        session.journal.append([session.opening])
        session.journal.close()
        assert [type(record) for record in read_journal(stopped.journal)] == [Begun, Resumed]

    def test_two_cannot_write_to_one_run(self, stopped):
        first = resume(stopped, self.same, accept=False)
        with pytest.raises(RunDirectoryError, match="Another search is writing to"):
            resume(stopped, self.same, accept=False)
        first.journal.close()
        resume(stopped, self.same, accept=False).journal.close()

    def test_what_was_written_until_the_claim_counts_and_nothing_is_read_twice(self, stopped, monkeypatch):
        """Between our first look at the journal and the lock on it, its writer may have gone on."""
        read, reads = opening.read_journal, []

        def counted(*arguments):
            for record in read(*arguments):
                reads.append(record)
                yield record

        def claim_late(*arguments):
            other = Journal(stopped.journal, resume=True)
            other.repair()
            other.append([WorkerJoined(1.0, 7, "node7"), Finished(2.0, "the end", 0)])
            other.close()

        monkeypatch.setattr(opening, "read_journal", counted)
        monkeypatch.setattr(opening, "claim", claim_late)
        session = resume(stopped, self.same, accept=False)
        assert session.state.workers.keys() == {7}
        assert session.began_s == 2.0
        assert [type(record) for record in reads] == [Begun, WorkerJoined, Finished]
        session.journal.append([session.opening])
        session.journal.close()
        kinds = [type(record) for record in read(stopped.journal)]
        assert kinds == [Begun, WorkerJoined, Finished, Resumed]

    @pytest.fixture
    def watches(self, monkeypatch):
        """Hold a search on another host; returns what is watched from now on."""
        watched = []

        def claim(journal, name, this_host, last_host, *rest):
            watched.append(last_host)

        monkeypatch.setattr(opening, "claim", claim)
        return watched

    @staticmethod
    def write(directory, *records):
        journal = Journal(directory.journal, resume=True)
        journal.repair()
        journal.append(records)
        journal.close()

    @pytest.fixture
    def elsewhere(self, stopped):
        """Return the record with which a search on another host goes on."""
        (begun,) = read_journal(stopped.journal)
        return Resumed(3.0, "0.1.0", "node7", begun.declaration, begun.options)

    def test_a_search_that_ended_is_taken_over_without_a_watch(self, stopped, elsewhere, watches):
        self.write(stopped, elsewhere, Finished(4.0, "stopped by SIGUSR1", 75))
        resume(stopped, self.same, accept=False).journal.close()
        assert watches == [None]

    def test_one_that_went_on_after_its_end_is_watched(self, stopped, elsewhere, watches):
        self.write(stopped, Finished(2.0, "stopped by SIGUSR1", 75), elsewhere)
        resume(stopped, self.same, accept=False).journal.close()
        assert watches == ["node7"]

    def test_one_that_is_about_to_go_on_after_its_end_is_watched(self, stopped, elsewhere, watches):
        self.write(stopped, elsewhere, Finished(4.0, "stopped by SIGUSR1", 75))
        with open(stopped.journal, "ab") as file:
            file.write(b'{"kind":"Resumed","ti')
        resume(stopped, self.same, accept=False).journal.close()
        assert watches == ["node7"]

    def test_one_that_goes_on_between_our_look_and_the_claim_is_watched_after_all(
        self, stopped, elsewhere, watches, monkeypatch
    ):
        self.write(stopped, Finished(2.0, "stopped by SIGUSR1", 75))
        claim = opening.claim

        def claim_late(*arguments):
            claim(*arguments)
            if len(watches) == 1:
                self.write(stopped, elsewhere)

        monkeypatch.setattr(opening, "claim", claim_late)
        session = resume(stopped, self.same, accept=False)
        session.journal.close()
        assert watches == [None, "node7"]
        assert session.began_s == 3.0

    def test_a_problem_that_is_gone_is_refused_before_any_watch(self, stopped, problem, watches):
        Path(problem).unlink()
        with pytest.raises(ProblemError):
            resume(stopped, self.same, accept=False)
        assert watches == []

    def test_a_last_line_that_was_cut_off_is_cut_away(self, stopped):
        whole = stopped.journal.read_bytes()
        stopped.journal.write_bytes(whole + b'{"kind":"Asked","ti')
        resume(stopped, self.same, accept=False).journal.close()
        assert stopped.journal.read_bytes() == whole

    def test_a_line_that_is_damaged_is_named_and_kept(self, stopped):
        damaged = stopped.journal.read_bytes() + b'{"kind":"Asked","time_s":1.0,"q":2,"crc":1}\n'
        stopped.journal.write_bytes(damaged)
        with pytest.raises(RunDirectoryError, match="line 2 is damaged"):
            resume(stopped, self.same, accept=False)
        assert stopped.journal.read_bytes() == damaged

    def test_in_a_batch_job_a_search_that_is_dying_is_waited_for(self, stopped, monkeypatch):
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        first = resume(stopped, self.same, accept=False)
        said = []

        def hear_and_die(sentence):
            said.append(sentence)
            first.journal.close()

        monkeypatch.setattr(opening, "_say", hear_and_die)
        resume(stopped, self.same, accept=False).journal.close()
        assert "waiting for its end, for 60 s at most" in said[0]

    @pytest.mark.parametrize("content", [b"", b'{"kind":"Beg'])
    def test_a_journal_without_a_beginning_is_refused(self, content, stopped):
        stopped.journal.write_bytes(content)
        with pytest.raises(RunDirectoryError, match="the search had not begun"):
            resume(stopped, self.same, accept=False)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_journal_that_may_not_be_written_is_refused(self, stopped):
        stopped.journal.chmod(0o444)
        with pytest.raises(RunDirectoryError, match="cannot be written"):
            resume(stopped, self.same, accept=False)
