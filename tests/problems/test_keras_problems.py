"""The Keras problems: each is searched over MPI on its stand-in, killed in mid-training, and goes on."""

import importlib.util
import io
import json
import os
import sys
import tarfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

import numpy as np
import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Reported, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState
from deephpo.worker.loading import load_problem

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

from deephpo.keras.best_trial import network_of  # noqa: E402

PROBLEMS = Path(__file__).parents[2] / "problems"
KERAS = sorted(path for path in PROBLEMS.glob("*.py") if "\nimport keras" in path.read_text())
WITH_STAND_IN = sorted(path for path in PROBLEMS.glob("*.py") if "\nstand_in = " in path.read_text())
DOWNLOADED = sorted(path for path in WITH_STAND_IN if " downloaded(" in path.read_text())

BIN = Path(sys.executable).parent
# The stand-in itself, but the first start of the first trial hangs once it has reported its first epoch.
HANGS = """
import time
from deephpo.worker.loading import load_problem

problem = load_problem({target!r})
train = problem.run

def run(config, ctx):
    report = ctx.report

    def report_and_hang(step, **metrics):
        report(step, **metrics)
        if (ctx.trial_id, ctx.attempt, step) == (0, 0, 1):
            time.sleep(600)

    ctx.report = report_and_hang
    return train(config, ctx)

problem.run = run
"""


def module_of(name):
    """Return the module of a problem file, loaded here."""
    spec = importlib.util.spec_from_file_location(name, PROBLEMS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kill(job):
    """Kill a job and all that it started, at once."""
    below = psutil.Process(job.pid).children(recursive=True) if job.poll() is None else []
    processes = [job, *below]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    job.wait()
    psutil.wait_procs(below, timeout=10)


def reports(records):
    """Return the steps that each trial reported, in their order."""
    steps = defaultdict(list)
    for record in records:
        if isinstance(record, Reported):
            steps[record.report.trial_id].append(record.report.step)
    return dict(steps)


def until_it_reports(journal, job, within_s=120):
    """Wait for the first report; return all reports until then."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and job.poll() is None:
        if journal.exists() and (steps := reports(read_journal(journal))):
            return steps
        time.sleep(0.05)
    return pytest.fail(f"No trial reported within {within_s} s; the job's exit code is {job.poll()}.")


@pytest.mark.parametrize("path", WITH_STAND_IN, ids=lambda path: path.stem)
def test_the_stand_in_passes_the_check_and_is_called_one(path, deephpo):
    shown = deephpo("check", f"{path}:stand_in").stdout
    assert shown.endswith("The problem can be searched.\n")
    assert "stand_in: " in shown.splitlines()[0]


@pytest.mark.parametrize("path", KERAS, ids=lambda path: path.stem)
def test_the_network_of_a_configuration_can_be_had_without_data(path, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("problem", "stand_in") if path in WITH_STAND_IN else ("problem",):
        target = f"{path}:{name}"
        encoding = load_problem(target).declaration.space.encoding()
        for config in encoding.decode(encoding.sample(3, np.random.default_rng(0))):
            assert network_of(target, config).count_params() > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mpi
@pytest.mark.parametrize("path", WITH_STAND_IN, ids=lambda path: path.stem)
def test_a_search_killed_in_mid_training_goes_on_from_the_checkpoint(
    path, problem_file, command, mpi_environment, tmp_path
):
    target = problem_file(HANGS.format(target=f"{path}:stand_in"))
    directory = RunDirectory(tmp_path / "run")
    over_mpi = [BIN / "mpirun", "--with-ft", "ulfm", "-n", "2", BIN / "deephpo"]
    words = ["search", target, "--trials", "3", "--search", "random", "--seed", "1", "--stop", "none"]
    with Popen([*over_mpi, *words, "--run-dir", directory.path], env=mpi_environment, stdout=DEVNULL) as job:
        try:
            before = until_it_reports(directory.journal, job)
        finally:
            kill(job)
    assert before == {0: [1]}

    ended = command(*over_mpi, "resume", directory.path, env=mpi_environment, timeout=180)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    records = list(read_journal(directory.journal))
    assert +RunState(records).counts == {TrialState.COMPLETED: 3}
    assert sum(isinstance(record, Started) and record.trial_id == 0 for record in records) == 2
    (begun,) = (record for record in records if isinstance(record, Begun))
    epochs = list(range(1, begun.declaration["fidelity"]["high"] + 1))
    assert len(epochs) > 1
    assert reports(records) == {0: epochs, 1: epochs, 2: epochs}


# Keras looks at KERAS_HOME when it is imported.  At port 9 nobody listens.
EVALUATES_EACH = """
import json, sys
from deephpo.worker.evaluation import evaluate
from deephpo.worker.loading import load_problem
from deephpo.worker.messages import Assignment
import numpy as np

sent = []
for path in sys.argv[2:]:
    problem = load_problem(path)
    encoding = problem.declaration.space.encoding()
    (config,) = encoding.decode(encoding.sample(1, np.random.default_rng(0)))
    outcome = evaluate(problem, Assignment(0, config, 1, sys.argv[1]), sent.append)
    print(json.dumps([outcome.state.name, outcome.reason, len(sent)]))
"""


def test_without_its_data_a_problem_trains_on_nothing_else(command, tmp_path):
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    words = [sys.executable, "-c", EVALUATES_EACH, tmp_path / "trial", *DOWNLOADED]
    shown = command(*words, env=environment).stdout
    outcomes = [json.loads(line) for line in shown.splitlines() if line.startswith("[")]
    assert len(outcomes) == len(DOWNLOADED) > 0
    for state, reason, reported in outcomes:
        assert (state, reported) == ("FAILED", 0)
        assert "cannot be downloaded: " in reason


def test_mnist_keeps_the_last_5000_training_images_to_validate(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    kept = tmp_path / "datasets" / "deephpo" / "mnist.npz"
    kept.parent.mkdir(parents=True)
    y = np.arange(60_000) % 10
    np.savez(kept, x=np.zeros((60_000, 28, 28), "uint8"), y=y)
    x_train, y_train, x_valid, y_valid = module_of("mnist_lenet1").mnist()
    assert (x_train.shape, x_valid.shape) == ((55_000, 28, 28, 1), (5_000, 28, 28, 1))
    np.testing.assert_array_equal(np.concatenate([y_train, y_valid]), y)


STORIES = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
1 Sandra travelled to the office.
2 Where is Sandra? \toffice\t1
"""


def test_rnn2_reads_the_archive_that_was_put_there_by_hand(command, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    module = module_of("rnn2")
    (tmp_path / "datasets").mkdir()
    with tarfile.open(tmp_path / "datasets" / "babi_tasks_1-20_v1-2.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo(module.TASK)
        entry.size = len(STORIES)
        archive.addfile(entry, io.BytesIO(STORIES.encode()))
    assert command(sys.executable, PROBLEMS / "rnn2.py").returncode == 0
    data = module.babi()
    assert data["stories"].shape == (2, 10)
    assert data["questions"].shape == (2, 3)
    first, second = data["stories"]
    assert data["answers"][0] in first
    assert data["answers"][0] not in second
    assert list(second[:5]) == [0] * 5
    assert data["questions"][0][2] == first[0] != 0
    words = {number for part in ("stories", "questions", "answers") for number in data[part].flat}
    assert words == set(range(data["words"]))


@pytest.mark.parametrize("window", [2, 10])
@pytest.mark.parametrize("pool", [2, 3])
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1)])
def test_lenet_fits_its_images_at_the_corners_of_the_space(window, pool, shape):
    sizes = {"window_size": window, "p1_size": pool, "p2_size": pool, "c1_depth": 1, "c2_depth": 1}
    rest = {"f1_width": 1, "learning_rate": 0.1, "reg_param": 1.0, "keep_prop_rate": 1.0}
    assert module_of("mnist_lenet1").network({**sizes, **rest}, shape).output_shape == (None, 10)


@pytest.mark.parametrize("first", [1, 7])
@pytest.mark.parametrize("second", [1, 7])
@pytest.mark.parametrize("pool", [2, 3, 4])
def test_cifar10_cnn_fits_its_images_at_the_corners_of_the_space(first, second, pool):
    sizes = {"f1_size": first, "f2_size": second, "p_size": pool, "f1_units": 8, "f2_units": 8, "nunits": 1}
    rest = {"activation": "selu", "dropout": 0.9, "optimizer": "nadam", "learning_rate": 10.0}
    assert module_of("cifar10_cnn").network({**sizes, **rest}, (32, 32, 3)).output_shape == (None, 10)
