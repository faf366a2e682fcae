import json

import pytest

from deephpo.errors import RunDirectoryError
from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.records import Asked, Reported, Started
from deephpo.trial import Report

RECORDS = [Asked(0.0, 2), Started(1.0, 0, 1), Reported(2.0, Report(0, 1, {"loss": float("inf"), "é": 1.0}))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def written(path):
    journal = Journal(path)
    journal.append(RECORDS)
    journal.close()
    return path


def test_what_was_appended_is_read_in_its_order(path):
    journal = Journal(path)
    journal.append(RECORDS[:1])
    journal.append([])
    journal.append(RECORDS[1:])
    journal.close()
    assert list(read_journal(path)) == RECORDS


def test_each_record_is_one_line_of_json(written):
    lines = written.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["Asked", "Started", "Reported"]


def test_records_can_be_read_as_soon_as_append_returns(path):
    journal = Journal(path)
    for count in range(1, len(RECORDS) + 1):
        journal.append(RECORDS[count - 1 : count])
        assert list(read_journal(path)) == RECORDS[:count]
    journal.close()


def test_a_last_line_that_was_cut_off_anywhere_is_left_out(written):
    whole = written.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        written.write_bytes(whole[:end])
        assert list(read_journal(written)) == RECORDS[:-1]


@pytest.mark.parametrize(
    "damage",
    [
        *(b'{"kind":"Asked"', b"", b"null", b"5", b"[]", b'{"kind":"Gone"}', bytes(4), b"\xff\xfe{}"),
        b'{"kind":"Reported","time_s":1.0,"report":{"trial_id":0,"step":1,"metrics":3}}',
    ],
)
def test_a_damaged_line_in_the_middle_is_named_with_its_number(written, damage):
    lines = written.read_bytes().split(b"\n")
    lines[1] = damage
    written.write_bytes(b"\n".join(lines))
    records = read_journal(written)
    assert next(records) == RECORDS[0]
    with pytest.raises(RunDirectoryError, match=r"journal\.jsonl: line 2 is damaged"):
        next(records)


def test_a_second_writer_is_refused_and_changes_nothing(written):
    before = written.read_bytes()
    with pytest.raises(RunDirectoryError, match="already holds a run"):
        Journal(written)
    assert written.read_bytes() == before


def test_a_record_that_json_cannot_hold_is_refused_before_anything_is_written(path):
    journal = Journal(path)
    with pytest.raises(ValueError, match="JSON"):
        journal.append([RECORDS[0], Asked(float("nan"), 1)])
    journal.close()
    assert path.read_bytes() == b""


def test_a_journal_without_a_path_writes_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal(None)
    journal.append(RECORDS)
    journal.close()
    assert list(tmp_path.iterdir()) == []
