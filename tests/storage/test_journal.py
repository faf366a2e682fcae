"""What a journal is read as: whole, while it grows, cut off anywhere, and damaged anywhere."""

import io
import json
import random
import zlib
from pathlib import Path

import pytest

from deephpo.cli.opening import begin
from deephpo.cli.options import SearchOptions
from deephpo.cli.simulate import play
from deephpo.errors import RunDirectoryError
from deephpo.storage.journal import Journal, Place, read_journal, read_records
from deephpo.storage.records import Asked, Ended, Reported, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import Report

HARTMANN = str(Path(__file__).parents[2] / "problems" / "hartmann6.py")


RECORDS = [Asked(0.0, 2), Started(1.0, 0, 1), Reported(2.0, Report(0, 1, {"loss": float("inf"), "é": 1.0}))]


def with_crc(body):
    return b'%s,"crc":%d}' % (body, zlib.crc32(body))


def strict(line):
    """Return the content of a line of strict JSON: no NaN, no infinity."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(line, parse_constant=refuse)


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


def test_a_line_ends_with_the_checksum_of_what_stands_before_it(written):
    checksum = 0
    for line in written.read_bytes().splitlines():
        assert list(json.loads(line))[-1] == "crc"
        checksum = zlib.crc32(line[: line.rindex(b',"crc":')], checksum)
        assert checksum == json.loads(line)["crc"]


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
        b'{"kind":"Asked","time_s":0.0,"q":2}',  # valid, but nobody vouches for it
        b'{"kind":"Asked","time_s":0.0,"q":2,"crc":1}',
        b'{"kind":"Asked","time_s":0.0,"q":2,"crc":}',
        *(with_crc(body) for body in (b"", b"5", b"[]", b'{"kind":"Gone"', b'{"kind":"Asked","time_s":0.0')),
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


class TestReadingOn:
    def test_what_came_since_is_read_and_nothing_twice(self, path):
        journal, place = Journal(path), Place()
        journal.append(RECORDS[:1])
        assert list(read_journal(path, place)) == RECORDS[:1]
        assert list(read_journal(path, place)) == []
        journal.append(RECORDS[1:])
        assert list(read_journal(path, place)) == RECORDS[1:]
        assert (place.number, place.end) == (len(RECORDS), path.stat().st_size)

    def test_a_line_that_was_cut_off_is_read_when_it_is_whole(self, written):
        whole, place = written.read_bytes(), Place()
        written.write_bytes(whole[:-10])
        assert list(read_journal(written, place)) == RECORDS[:-1]
        written.write_bytes(whole)
        assert list(read_journal(written, place)) == RECORDS[-1:]

    def test_who_stops_in_the_middle_goes_on_there(self, written):
        place = Place()
        assert next(read_journal(written, place)) == RECORDS[0]
        assert list(read_journal(written, place)) == RECORDS[1:]

    def test_a_damaged_line_is_named_with_its_number_in_the_file(self, written):
        place = Place()
        list(read_journal(written, place))
        with open(written, "ab") as file:
            file.write(with_crc(b'{"kind":"Asked","time_s":0.0,"q":2') + b"\n")
        with pytest.raises(RunDirectoryError, match=rf"line {len(RECORDS) + 1} is damaged"):
            list(read_journal(written, place))

    @pytest.mark.parametrize("others", [[], RECORDS[1:], [Asked(1.0, 9), Asked(1.0, 9)]])
    def test_lines_that_were_taken_back_are_missed(self, path, others):
        """A writer whose disk is full takes its last block back, and may write another one later."""
        journal, place = Journal(path), Place()
        journal.append(RECORDS[:1])
        kept = path.read_bytes()
        journal.append([Started(0.5, 0, 1)])
        list(read_journal(path, place))
        journal.close()
        path.write_bytes(kept)
        journal = Journal(path, resume=True)
        journal.repair()
        journal.append(others)
        journal.close()
        with pytest.raises(RunDirectoryError, match="lost its last lines while it was read"):
            list(read_journal(path, place))


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


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return the lines of the journal of a whole search with 60 trials, and its records."""
    values = {"search": "sobol", "seed": 1, "trials": 60, "retries": 2}
    unset = ("time_limit_s", "workers", "trial_timeout_s", "trial_memory_bytes", "warm_start")
    options = SearchOptions.from_dict(
        {name: {"value": v, "origin": "default"} for name, v in {**values, **dict.fromkeys(unset)}.items()}
    )
    path = tmp_path_factory.mktemp("runs") / "run"
    assert play(begin(HARTMANN, options, path), 3, lambda trial_id: 60.0 + trial_id, True)[0] == 0
    journal = RunDirectory(path).journal
    records = list(read_journal(journal))
    assert sum(isinstance(record, Ended) for record in records) == 60
    return journal.read_bytes().splitlines(keepends=True), records


def checksum_above(lines, k):
    """Return the checksum with which that of line k begins."""
    return json.loads(lines[k - 1])["crc"] if k else 0


class TestCutOff:
    def test_cut_at_every_byte_the_longest_valid_part_is_read(self, real):
        """Lines are read one by one, so what stands two lines before the cut is left out here."""
        lines, records = real
        for k, line in enumerate(lines):
            known, before = lines[max(0, k - 1) : k], checksum_above(lines, max(0, k - 1))
            for end in range(len(line)):
                read = list(
                    read_records(io.BytesIO(b"".join(known) + line[:end]), "journal", Place(checksum=before))
                )
                assert read == records[max(0, k - 1) : k]

    @pytest.mark.parametrize("stride", [997, pytest.param(1, marks=pytest.mark.slow)])
    def test_the_whole_file_cut_off_is_read_and_repaired(self, real, path, stride, figure):
        lines, records = real
        whole, ends = b"".join(lines), []
        for line in lines:
            ends.append(len(line) + (ends[-1] if ends else 0))
        for cut in range(0, len(whole), stride):
            path.write_bytes(whole[:cut])
            count = sum(end <= cut for end in ends)
            assert list(read_journal(path)) == records[:count]
            journal = Journal(path, resume=True)
            journal.repair()
            assert path.read_bytes() == whole[: ends[count - 1] if count else 0]
            journal.append([Asked(9.0, 1)])
            journal.close()
            assert list(read_journal(path)) == [*records[:count], Asked(9.0, 1)]
        cuts = len(range(0, len(whole), stride))
        figure(f"journal of {len(lines)} lines cut off at {cuts} places: the longest valid part each time")

    def test_after_a_repair_every_line_is_strict_json(self, real, path):
        whole, rng = b"".join(real[0]), random.Random(1)
        for _ in range(40):
            path.write_bytes(whole[: rng.randrange(len(whole))])
            journal = Journal(path, resume=True)
            journal.repair()
            journal.close()
            content = path.read_bytes()
            assert content.endswith(b"\n") or not content
            assert all(isinstance(strict(line), dict) for line in content.splitlines())

    def test_a_whole_journal_needs_no_repair(self, real, path):
        whole = b"".join(real[0])
        path.write_bytes(whole)
        journal = Journal(path, resume=True)
        journal.repair()
        journal.close()
        assert path.read_bytes() == whole

    @pytest.mark.parametrize("rest", [b"x" * 200_000, bytes(200_000)], ids=["a long line", "zeros"])
    def test_what_was_cut_off_may_be_long(self, real, path, rest):
        """Also zeros, with which some file systems fill a file that a power failure cut off."""
        lines, records = real
        path.write_bytes(b"".join(lines[:50]) + rest)
        assert list(read_journal(path)) == records[:50]
        journal = Journal(path, resume=True)
        journal.repair()
        journal.close()
        assert path.read_bytes() == b"".join(lines[:50])

    def test_opening_a_journal_changes_nothing_until_it_is_repaired(self, written):
        whole = written.read_bytes()
        written.write_bytes(whole + b'{"kind":"Ask')
        Journal(written, resume=True).close()
        assert written.read_bytes() == whole + b'{"kind":"Ask'

    def test_a_journal_to_resume_must_exist(self, path):
        with pytest.raises(RunDirectoryError, match=r"cannot be written \(No such file"):
            Journal(path, resume=True)
        assert not path.exists()


class TestDamage:
    def check(self, lines, k, damaged, records, before=0):
        """Assert that all is read up to the damaged line k, which is named."""
        reader = read_records(
            io.BytesIO(b"".join([*lines[:k], damaged, *lines[k + 1 :]])), "journal", Place(checksum=before)
        )
        for record in records[:k]:
            assert next(reader) == record
        with pytest.raises(RunDirectoryError, match=rf"journal: line {k + 1} is damaged"):
            next(reader)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_flipped_bit_in_any_line_is_found_there(self, real, seed):
        (lines, records), rng = real, random.Random(seed)
        for k, line in enumerate(lines[:-1]):
            place, flip = rng.randrange(len(line)), 1 << rng.randrange(8)
            damaged = line[:place] + bytes([line[place] ^ flip]) + line[place + 1 :]
            self.check(lines[: k + 2], k, damaged, records)

    @pytest.mark.parametrize("kind", [Asked, Ended])
    def test_every_byte_of_a_line_its_end_included_may_be_any_other(self, real, kind):
        lines, records = real
        k = next(k for k in range(20, len(records)) if isinstance(records[k], kind))
        self.sweep(lines[k - 1 : k + 2], records[k - 1 : k + 2], checksum_above(lines, k - 1))

    def test_a_metric_that_is_called_as_the_checksum_is_none(self, path):
        records = [RECORDS[0], Reported(1.0, Report(0, 1, {"crc": 7.0, "loss,": 1.0})), RECORDS[1]]
        journal = Journal(path)
        journal.append(records)
        journal.close()
        assert list(read_journal(path)) == records
        self.sweep(path.read_bytes().splitlines(keepends=True), records)

    @pytest.mark.parametrize("what", ["lost", "doubled", "exchanged"])
    def test_a_whole_line_in_the_wrong_place_is_found(self, real, what):
        lines, _ = real
        middle = {"lost": [], "doubled": [lines[30]] * 2, "exchanged": [lines[31], lines[30]]}[what]
        rest = lines[31 if what != "exchanged" else 32 :]
        with pytest.raises(RunDirectoryError, match="is damaged"):
            list(read_records(iter([*lines[:30], *middle, *rest]), "journal", Place()))

    def sweep(self, lines, records, before=0):
        line = lines[1]
        for place in range(len(line)):
            for other in range(256):
                if other != line[place]:
                    damaged = line[:place] + bytes([other]) + line[place + 1 :]
                    self.check(lines, 1, damaged, records, before)

    def test_a_last_line_whose_end_is_damaged_counts_as_cut_off(self, real):
        lines, records = real
        damaged = [*lines[:-1], lines[-1][:-1] + b"\x0b"]
        assert list(read_records(iter(damaged), "journal", Place())) == records[:-1]
