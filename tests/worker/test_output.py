import os
import subprocess
import sys
import time

import pytest

from deephpo.worker import output
from deephpo.worker.output import OutputLog


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "output" / "worker-00001.txt"


def test_what_is_printed_goes_to_a_file_made_with_the_first_byte(pipe, path):
    reader, writer = pipe
    log = OutputLog(path)
    log.drain(reader)
    assert not path.parent.exists()
    os.write(writer, b"one\n")
    log.drain(reader)
    os.write(writer, b"two\n")
    log.drain(reader)
    assert path.read_bytes() == b"one\ntwo\n"
    assert log.tail() == "one\ntwo"


def test_the_tail_is_the_last_lines_and_is_forgotten_on_demand(pipe, path):
    reader, writer = pipe
    log = OutputLog(path)
    os.write(writer, "".join(f"line {k}\n" for k in range(100)).encode())
    log.drain(reader)
    assert log.tail().splitlines() == [f"line {k}" for k in range(60, 100)]
    log.forget()
    assert log.tail() == ""
    os.write(writer, b"\xff odd \xc3\xa9\n")
    log.drain(reader)
    assert log.tail() == "\N{REPLACEMENT CHARACTER} odd é"
    assert path.read_bytes().startswith(b"line 0\n")


def test_a_flood_ends_at_the_most_bytes_but_the_tail_goes_on(pipe, path, monkeypatch):
    monkeypatch.setattr(output, "MOST_BYTES", 10)
    reader, writer = pipe
    log = OutputLog(path)
    for text in (b"12345678", b"90abc", b"last"):
        os.write(writer, text)
        log.drain(reader)
    assert path.read_bytes() == b"1234567890"
    assert log.tail().endswith("last")
    os.write(writer, b"more")
    OutputLog(path).drain(reader)
    assert path.read_bytes() == b"1234567890"


@pytest.mark.parametrize("place", ["file/below.txt", None])
def test_a_file_that_cannot_be_written_costs_its_lines_alone(pipe, tmp_path, place):
    (tmp_path / "file").touch()
    reader, writer = pipe
    log = OutputLog(None if place is None else tmp_path / place)
    os.write(writer, b"said\n")
    log.drain(reader)
    assert log.tail() == "said"


def test_a_pipe_whose_writers_are_gone_is_no_error(path):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"bye")
    os.close(writer)
    log = OutputLog(path)
    log.drain(reader)
    log.drain(reader)
    os.close(reader)
    assert log.tail() == "bye"


def test_a_child_that_never_stops_printing_does_not_hold_its_keeper(pipe):
    reader, writer = pipe
    code = "import os\nwhile True: os.write(1, b'x' * 65536)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer) as flooding:
        try:
            log, deadline = OutputLog(None), time.monotonic() + 10
            while not log.tail():
                log.drain(reader)
                assert time.monotonic() < deadline
            began = time.monotonic()
            for _ in range(20):
                log.drain(reader)
            assert time.monotonic() - began < 5
        finally:
            flooding.kill()
