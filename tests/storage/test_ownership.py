import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest

from deephpo.errors import RunDirectoryError
from deephpo.storage import ownership
from deephpo.storage.journal import PULSE_S, Journal, read_journal
from deephpo.storage.ownership import WATCH_S, claim
from deephpo.storage.records import Asked, Started

HERE = "here"
HOLDER = """
import sys
from pathlib import Path
from deephpo.errors import RunDirectoryError
from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.ownership import claim
path = sys.argv[1]
journal = Journal(Path(path), resume=True)
try:
    claim(journal, path, "here", "here", print)
except RunDirectoryError as error:
    print(error, flush=True)
    sys.exit(2)
list(read_journal(Path(path)))  # to open and close the file a second time gives nothing away
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append([Asked(0.0, 1)])
    journal.close()
    return path


@pytest.fixture
def another(path):
    """Return a function that starts a process which claims the journal and keeps it, and its answer."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def opened(path):
    """Return a function that opens the journal once more, as the next process would."""
    journals = []

    def open_it():
        journals.append(Journal(path, resume=True))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


@contextmanager
def beating(path, towards=1):
    """Let the journal's modification time move in this block, as a living writer does."""
    over = threading.Event()

    def beat():
        time_s = path.stat().st_mtime
        while not over.wait(0.02):
            time_s += towards
            os.utime(path, (time_s, time_s))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def try_to_claim(journal, path, last_host=HERE, this_host=HERE):
    """Claim the journal; returns what was said."""
    said = []
    claim(journal, str(path), this_host, last_host, said.append)
    return said


class TestOnOneMachine:
    def test_a_second_process_is_refused_while_the_first_lives(self, path, another):
        _, answer = another()
        assert answer == "mine"
        second, answer = another()
        assert answer == f"Another search is writing to {path}; wait for its end, or end it."
        assert second.wait(10) == 2
        assert another()[1] == answer

    def test_a_killed_process_gives_it_free_at_once(self, path, another, opened):
        first, _ = another()
        with pytest.raises(RunDirectoryError, match="Another search is writing"):
            try_to_claim(opened(), path)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        assert try_to_claim(opened(), path) == []

    def test_who_has_patience_waits_for_a_process_that_dies(self, path, another, opened):
        first, _ = another()
        said = []

        def kill_it(line):
            said.append(line)
            os.kill(first.pid, signal.SIGKILL)

        claim(opened(), str(path), HERE, HERE, kill_it, 20.0)
        assert said == [f"Another search is writing to {path}: waiting for its end, for 20 s at most."]

    def test_patience_has_an_end(self, path, another, opened):
        another()
        began_s = time.monotonic()
        with pytest.raises(RunDirectoryError, match="Another search is writing"):
            claim(opened(), str(path), HERE, HERE, print, 0.5)
        assert 0.5 <= time.monotonic() - began_s < 5

    def test_a_stopped_process_still_has_it(self, path, another, opened):
        first, _ = another()
        os.kill(first.pid, signal.SIGSTOP)
        with pytest.raises(RunDirectoryError, match="Another search is writing"):
            try_to_claim(opened(), path)

    def test_it_is_free_when_its_owner_closes_it(self, path, opened):
        journal = Journal(path, resume=True)
        try_to_claim(journal, path)
        with pytest.raises(RunDirectoryError):
            try_to_claim(opened(), path)
        journal.close()
        assert try_to_claim(opened(), path) == []

    def test_who_is_refused_changes_nothing(self, path, another):
        another()
        before = path.read_bytes(), path.stat().st_mtime_ns
        another()
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    def test_the_owner_writes_and_others_read(self, path, opened):
        journal = opened()
        try_to_claim(journal, path)
        journal.repair()
        journal.append([Asked(1.0, 2)])
        assert list(read_journal(path)) == [Asked(0.0, 1), Asked(1.0, 2)]

    def test_the_children_of_a_killed_search_do_not_keep_it(self, tmp_path, opened):
        """They would, if they inherited the journal's descriptor."""
        problem = tmp_path / "slow.py"
        problem.write_text(
            textwrap.dedent(
                """
                import time
                from deephpo import Float, Problem, Space

                def run(config):
                    time.sleep(600)

                problem = Problem(Space([Float("x", 0.0, 1.0)]), run)
                """
            )
        )
        path = tmp_path / "run" / "journal.jsonl"
        words = ["search", str(problem), "--workers", "2", "--trials", "9", "--run-dir", str(path.parent)]
        program = os.path.join(os.path.dirname(sys.executable), "deephpo")
        search = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not path.exists() or not any(isinstance(r, Started) for r in read_journal(path)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            journal = Journal(path, resume=True)
            with pytest.raises(RunDirectoryError, match="Another search is writing"):
                try_to_claim(journal, path)
        finally:
            search.kill()
            search.wait()
        assert try_to_claim(journal, path) == []
        journal.close()


class TestBetweenMachines:
    """The lock of another machine may not be seen here; its writer's pulse is."""

    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch):
        monkeypatch.setattr(ownership, "WATCH_S", 0.5)

    def test_a_living_writer_renews_its_pulse_more_than_once_in_a_watch(self):
        assert WATCH_S > 2 * PULSE_S

    @pytest.mark.parametrize("towards", [1, -1], ids=["forwards", "backwards"])
    def test_a_journal_that_moves_is_refused(self, path, opened, towards):
        """No clocks are compared: the other machine's may be slow."""
        with beating(path, towards), pytest.raises(RunDirectoryError, match=f"is writing to {path}"):
            try_to_claim(opened(), path, last_host="there")

    def test_a_journal_that_does_not_is_accepted_after_the_watch(self, path, opened):
        began = time.monotonic()
        (said,) = try_to_claim(opened(), path, last_host="there")
        assert time.monotonic() - began >= 0.5
        assert said.startswith(f"{path} was last written on there: watching it for")

    def test_what_moved_before_the_watch_does_not_matter(self, path, opened):
        os.utime(path)
        assert len(try_to_claim(opened(), path, last_host="there")) == 1

    def test_a_lock_that_is_seen_is_believed_without_a_watch(self, path, another, opened):
        another()
        said = []
        with pytest.raises(RunDirectoryError):
            claim(opened(), str(path), HERE, "there", said.append)
        assert said == []

    @pytest.mark.parametrize("last_host", [None, HERE])
    def test_a_new_journal_and_one_of_this_machine_are_not_watched(self, path, opened, last_host):
        assert try_to_claim(opened(), path, last_host=last_host) == []


class TestWithoutLocks:
    """File systems that know no locks, as some NFS and Lustre mounts."""

    @pytest.fixture(autouse=True)
    def _no_locks(self, monkeypatch):
        def refuse(descriptor, operation):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        monkeypatch.setattr(ownership, "WATCH_S", 0.3)

    def test_a_journal_of_this_machine_is_watched_too(self, path, opened):
        (said,) = try_to_claim(opened(), path)
        assert "was last written on here, as far as known: watching it" in said

    def test_and_refused_when_it_moves(self, path, opened):
        with beating(path), pytest.raises(RunDirectoryError, match="Another search is writing"):
            try_to_claim(opened(), path)

    def test_a_new_one_is_not(self, path, opened):
        assert try_to_claim(opened(), path, last_host=None) == []


@pytest.mark.parametrize("error", [BlockingIOError, PermissionError])
def test_either_answer_of_a_lock_that_is_held_is_understood(path, opened, monkeypatch, error):
    def refuse(descriptor, operation):
        raise error

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunDirectoryError, match="Another search is writing"):
        try_to_claim(opened(), path)
