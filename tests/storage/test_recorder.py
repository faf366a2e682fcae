import pytest

from deephpo.storage.journal import Journal, JournalFullError, read_journal
from deephpo.storage.recorder import RunRecorder
from deephpo.storage.records import Asked
from deephpo.storage.run_state import RunState


class Onlooker:
    """Looks, at every record, at what the journal's file and the state hold by then."""

    def __init__(self, path):
        self.path = path
        self.seen = []
        self.times = []

    def note(self, record, state):
        on_disk = list(read_journal(self.path))
        self.seen.append((record, record in on_disk, len(on_disk), len(state.trials)))

    def refresh(self, state):
        self.times.append(state.now_s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def test_the_journal_and_the_state_hold_a_record_before_a_watcher_sees_it(path, run_records):
    records, onlooker, state = run_records(0.3, 0.2), Onlooker(path), RunState()
    RunRecorder(Journal(path), state, [onlooker]).write(records)
    assert [record for record, *_ in onlooker.seen] == records
    assert all(written for _, written, *_ in onlooker.seen)
    # One block: the whole of it is on its way to the disk before anybody sees its first record.
    assert {count for *_, count, _ in onlooker.seen} == {len(records)}
    assert onlooker.seen[-1][-1] == len(state.trials) == 2


def test_a_block_that_cannot_be_written_reaches_neither_state_nor_watchers(path, run_records):
    onlooker, state = Onlooker(path), RunState()
    recorder = RunRecorder(Journal(path), state, [onlooker])
    with pytest.raises(ValueError, match="JSON"):
        recorder.write([*run_records(0.3), Asked(float("nan"), 1)])
    assert (onlooker.seen, state.trials) == ([], {})


def test_time_goes_on_between_records_and_never_back(path, run_records):
    onlooker = Onlooker(path)
    recorder = RunRecorder(Journal(path), RunState(), [onlooker])
    recorder.write(run_records(0.3, 0.2, 0.1))
    recorder.refresh(1.0)
    recorder.refresh(60.0)
    recorder.refresh(59.0)
    assert onlooker.times == [2.0, 60.0, 60.0]


def test_a_journal_that_is_full_is_told_before_state_and_watchers_know(path, run_records):
    class Full(Journal):
        def append(self, records):
            raise JournalFullError("no room")

    onlooker, state = Onlooker(path), RunState()
    with pytest.raises(JournalFullError, match="no room"):
        RunRecorder(Full(path), state, [onlooker]).write(run_records(0.3))
    assert (onlooker.seen, state.trials) == ([], {})


def test_the_journal_is_looked_after_as_time_goes_by(path):
    class Watched(Journal):
        pulses = 0

        def pulse(self):
            self.pulses += 1

    journal = Watched(path)
    recorder = RunRecorder(journal, RunState())
    for now_s in range(5):
        recorder.refresh(float(now_s))
    assert journal.pulses == 5
