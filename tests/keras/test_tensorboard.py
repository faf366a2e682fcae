import os
from types import SimpleNamespace

import pytest

from deephpo.errors import OptionError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
pytestmark = pytest.mark.tensorflow

from deephpo.keras.tensorboard import VARIABLE, requested  # noqa: E402
from deephpo.trial import TrialState  # noqa: E402
from deephpo.worker.evaluation import evaluate  # noqa: E402
from deephpo.worker.loading import load_problem  # noqa: E402
from deephpo.worker.messages import Assignment  # noqa: E402


@pytest.fixture
def logs(tmp_path, squares, monkeypatch):
    """Return a function that runs a trial with what the environment asks for, and returns what it logged."""
    file = tmp_path / "squares.py"
    file.write_text(squares)
    problem = load_problem(str(file))

    def logs(asked):
        monkeypatch.setenv(VARIABLE, asked)
        directory = tmp_path / f"trial-{asked}"
        config = {"filters": 2, "residual": False}
        outcome = evaluate(problem, Assignment(0, config, 1, str(directory)), lambda report: None)
        assert outcome.state is TrialState.COMPLETED, outcome.detail
        read = {}
        for part in directory.glob("tensorboard/*"):
            read[part.name] = events.EventAccumulator(str(part)).Reload()
        return read

    return logs


def test_a_trial_logs_its_learning_curve_of_both_parts_of_the_data(logs):
    read = logs("1")
    assert set(read) == {"train", "validation"}
    for part in read.values():
        scalars = part.Tags()["tensors"]
        assert "epoch_loss" in scalars
        assert [event.step for event in part.Tensors("epoch_loss")] == [0, 1, 2]
    assert not any("first/kernel" in name for name in read["train"].Tags()["tensors"])


def test_histograms_of_all_weights_on_request(logs):
    read = logs("histograms")
    assert any("first/kernel/histogram" in name for name in read["train"].Tags()["tensors"])


@pytest.mark.parametrize("nothing", ["", "0"])
def test_nothing_is_logged_that_nobody_asked_for(nothing, logs):
    assert logs(nothing) == {}


def test_an_unknown_request_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "everything")
    with pytest.raises(OptionError, match="DEEPHPO_TENSORBOARD is 1 or histograms, not 'everything'"):
        requested(SimpleNamespace(rank=0))


def test_only_the_first_rank_of_a_data_parallel_trial_logs(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "1")
    assert requested(SimpleNamespace(rank=1, directory=tmp_path)) == []
    assert len(requested(SimpleNamespace(rank=0, directory=tmp_path))) == 1
