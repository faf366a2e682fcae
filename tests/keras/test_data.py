"""What is downloaded is downloaded once, kept whole, and missed with a sentence."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

from deephpo.errors import UserError  # noqa: E402
from deephpo.keras import data  # noqa: E402
from deephpo.keras.data import datasets, downloaded  # noqa: E402

SOURCE = ("https://example.org/numbers.npz", "numbers.npz")


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def never():
    pytest.fail("It was downloaded although it was there.")


def fails():
    raise Exception("URL fetch failure on https://example.org: None -- no such host")


def test_what_was_downloaded_once_is_read_from_then_on():
    x = np.arange(6, dtype="uint8").reshape(2, 3)
    first = downloaded("numbers", lambda: {"x": x, "y": [1, 2]}, *SOURCE)
    again = downloaded("numbers", never, *SOURCE)
    for arrays in (first, again):
        assert arrays["x"].dtype == np.uint8
        np.testing.assert_array_equal(arrays["x"], x)
        np.testing.assert_array_equal(arrays["y"], [1, 2])


def test_without_internet_the_error_says_what_to_put_where(keras_home):
    with pytest.raises(UserError) as raised:
        downloaded("numbers", fails, *SOURCE)
    for word in ("no such host", SOURCE[0], f"{keras_home}/datasets/numbers.npz", ":stand_in", "login node"):
        assert word in str(raised.value)


def test_what_failed_once_can_be_downloaded_later():
    with pytest.raises(UserError):
        downloaded("numbers", fails, *SOURCE)
    assert downloaded("numbers", lambda: {"x": [7]}, *SOURCE)["x"] == [7]


def test_a_directory_that_cannot_be_written_is_named(keras_home, monkeypatch):
    (keras_home / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(keras_home / "file"))
    with pytest.raises(UserError, match=r"numbers cannot be kept: .*Set KERAS_HOME"):
        downloaded("numbers", never, *SOURCE)


def test_a_file_that_a_kill_cut_off_is_not_taken_for_the_data():
    datasets().joinpath("deephpo").mkdir(parents=True)
    datasets().joinpath("deephpo", "numbers.partial").write_bytes(b"PK")
    assert downloaded("numbers", lambda: {"x": [7]}, *SOURCE)["x"] == [7]


PROGRAM = """
import importlib.util, sys, time
from deephpo.errors import UserError

# Not by way of its package, which would import Keras.
spec = importlib.util.spec_from_file_location("data", sys.argv[3])
data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(data)

def load():
    with open(sys.argv[1], "a") as tries:
        tries.write("x")
    time.sleep(1)
    if sys.argv[2] == "fails":
        raise Exception("no such host")
    return {"x": [7]}

print("ready", flush=True)
sys.stdin.readline()
try:
    print(data.downloaded("numbers", load, "https://example.org", "numbers.npz")["x"])
except UserError as error:
    print(error)
"""


def start(*words):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words, data.__file__], **pipes)


@pytest.mark.parametrize(("how", "said"), [("works", "[7]"), ("fails", "no such host")])
def test_of_processes_that_begin_at_once_one_downloads(tmp_path, how, said):
    tries = tmp_path / "tries"
    processes = [start(str(tries), how) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert said in out
    assert tries.read_text() == "x"


def test_a_process_that_is_killed_while_it_downloads_leaves_the_next_one_free(tmp_path):
    with start(str(tmp_path / "tries"), "works") as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        while not (tmp_path / "tries").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert downloaded("numbers", lambda: {"x": [7]}, *SOURCE)["x"] == [7]
