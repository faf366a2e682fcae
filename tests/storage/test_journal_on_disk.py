"""When the records of a journal reach the disk, and what is in it when they cannot."""

import errno
import os
import subprocess
import sys

import pytest

from deephpo.storage.journal import PULSE_S, SYNC_INTERVAL_S, Journal, JournalFullError, read_journal
from deephpo.storage.records import Asked, Begun, Finished, Reported, Resumed, Started
from deephpo.trial import Report

RECORDS = [Asked(0.0, 2), Started(1.0, 0, 1), Reported(2.0, Report(0, 1, {"loss": float("inf"), "é": 1.0}))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def asks(count):
    return [Asked(float(k), k) for k in range(1, count + 1)]


class TestFullDisk:
    """A journal that cannot grow: what was in it stays whole, and it goes on when there is room."""

    @pytest.fixture
    def small_disk(self, tmp_path):
        place = tmp_path / "disk"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a file system can only be mounted by root")
        yield place
        subprocess.run(["umount", str(place)], check=True)

    @pytest.mark.parametrize("block", [1, 7, 100])
    def test_on_a_disk_that_is_full(self, small_disk, block):
        path, filler = small_disk / "journal.jsonl", small_disk / "other"
        filler.write_bytes(bytes(32 * 1024))
        journal, written = Journal(path), []

        def fill():
            while True:
                journal.append(asks(block))
                written.extend(asks(block))

        with pytest.raises(JournalFullError, match="cannot be written: No space left on device"):
            fill()
        assert len(path.read_bytes()) > 20_000
        assert list(read_journal(path)) == written
        assert path.read_bytes().endswith(b"\n")
        with pytest.raises(JournalFullError):
            journal.append(asks(200))
        assert list(read_journal(path)) == written
        filler.unlink()
        for _ in range(3):
            journal.append(asks(block))
            written += asks(block)
        journal.close()
        assert list(read_journal(path)) == written

    def test_where_a_file_may_not_grow_any_more(self, path):
        """The same for a quota that ends in the middle of a page, without root."""
        program = f"""
import resource, sys
from pathlib import Path
from deephpo.storage.journal import Journal, JournalFullError, read_journal
from deephpo.storage.records import Asked
path = Path({str(path)!r})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(1000, 1100):  # within a line at every place of it
    path.unlink(missing_ok=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    journal, written = Journal(path), []
    try:
        while True:
            journal.append([Asked(0.0, 1), Asked(0.0, 2)])
            written += [Asked(0.0, 1), Asked(0.0, 2)]
    except JournalFullError as error:
        assert str(error) == "the journal cannot be written: File too large", error
    assert len(written) > 10
    assert list(read_journal(path)) == written
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    journal.append([Asked(9.0, 9)])
    journal.close()
    assert list(read_journal(path)) == [*written, Asked(9.0, 9)]
print("done")
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("done\n", "")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
    def test_where_only_the_disk_itself_says_so(self, path, monkeypatch, number):
        """Network file systems tell of a quota when the data is sent to the server."""

        def fail(descriptor):
            raise OSError(number, os.strerror(number))

        journal = Journal(path)
        journal.append(RECORDS[:1])
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(JournalFullError, match=os.strerror(number)):
            journal.append([Finished(1.0, "the end", 0)])
        assert list(read_journal(path)) == RECORDS[:1]
        monkeypatch.setattr("deephpo.storage.journal.SYNC_INTERVAL_S", 0.0)
        with pytest.raises(JournalFullError, match=os.strerror(number)):
            journal.pulse()
        with pytest.raises(JournalFullError, match=os.strerror(number)):
            journal.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(journal.descriptor)

    def test_where_nothing_can_be_taken_back_either(self, path, monkeypatch):
        def fail(*arguments):
            raise OSError(errno.EIO, "Input/output error")

        journal = Journal(path)
        journal.append(RECORDS[:1])
        monkeypatch.setattr(os, "ftruncate", fail)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(JournalFullError, match="Input/output error"):
            journal.append([Finished(1.0, "the end", 0)])
        assert next(read_journal(path)) == RECORDS[0]


class Clock:
    """Stands in the place of the module ``time``."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


class TestReachingTheDisk:
    @pytest.fixture
    def clock(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("deephpo.storage.journal.time", clock)
        return clock

    @pytest.fixture
    def syncs(self, clock, monkeypatch):
        """Return the times at which the journal was brought to the disk, and its size then."""
        times, fsync = [], os.fsync

        def note(descriptor):
            times.append((clock.now_s, os.fstat(descriptor).st_size))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        return times

    def test_once_a_second_while_records_come(self, path, clock, syncs):
        journal = Journal(path)
        for _ in range(1000):
            clock.now_s += 1 / 64
            journal.append(RECORDS)
        gaps = [b - a for (a, _), (b, _) in zip([(1000.0, 0), *syncs], syncs, strict=False)]
        assert set(gaps) == {SYNC_INTERVAL_S}
        assert len(syncs) == 15

    def test_a_second_later_if_no_other_record_comes_and_not_again(self, path, clock, syncs):
        journal = Journal(path)
        clock.now_s += 0.25
        journal.append(RECORDS)
        assert syncs == []
        for _ in range(1000):
            clock.now_s += 1 / 64
            journal.pulse()
        assert syncs == [(1000.0 + SYNC_INTERVAL_S, path.stat().st_size)]

    @pytest.mark.parametrize(
        "record",
        [
            Begun(0.0, "0.1.0", "head", "demo.py", {}, {}),
            Resumed(0.0, "0.1.0", "head", {}, {}),
            Finished(0.0, "the end", 0),
        ],
        ids=lambda record: type(record).__name__,
    )
    def test_at_once_when_a_search_begins_or_ends(self, path, clock, syncs, record):
        journal = Journal(path)
        journal.append(RECORDS)
        journal.append([*RECORDS, record])
        assert syncs == [(1000.0, path.stat().st_size)]
        journal.append(RECORDS)
        assert len(syncs) == 1

    def test_at_the_end(self, path, clock, syncs):
        journal = Journal(path)
        journal.append(RECORDS)
        journal.close()
        assert syncs == [(1000.0, path.stat().st_size)]

    def test_a_journal_without_a_path_has_no_disk(self, clock, syncs):
        journal = Journal(None)
        journal.append([Finished(0.0, "the end", 0)])
        clock.now_s += 100.0
        journal.pulse()
        journal.close()
        assert syncs == []

    def test_others_see_that_the_writer_is_alive(self, path, clock):
        journal = Journal(path)
        journal.append(RECORDS)
        seen = []
        for _ in range(6):
            os.utime(path, (0, 0))
            clock.now_s += PULSE_S / 2
            journal.pulse()
            seen.append(path.stat().st_mtime > 0)
        assert seen == [False, True] * 3
        assert list(read_journal(path)) == RECORDS
