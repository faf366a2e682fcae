import pytest

from deephpo.trial import Trial
from deephpo.worker.messages import Assignment
from deephpo.worker.workplace import Workplace, thread_limits

THREADS = "OMP_NUM_THREADS"


def test_an_assignment_holds_all_that_a_child_needs():
    workplace = Workplace("task.py", "/runs/one/trials")
    assert workplace.assignment(Trial(42, {"lr": 0.1}, seed=7)) == Assignment(
        42, {"lr": 0.1}, 7, "/runs/one/trials/000042"
    )
    assert workplace.assignment(Trial(0, {}), wants_duration=True).wants_duration


def test_each_worker_has_an_output_file_of_its_own_or_none():
    workplace = Workplace("task.py", "/trials", "/output")
    assert str(workplace.output_of(7)) == "/output/worker-00007.txt"
    assert Workplace("task.py", "/trials").output_of(7) is None


@pytest.mark.parametrize(("cores", "threads"), [(16, "16"), (2.9, "2"), (1.0, "1"), (0.25, "1")])
def test_thread_pools_keep_to_whole_cores_one_at_least(monkeypatch, cores, threads):
    for name in thread_limits(1):
        monkeypatch.delenv(name, raising=False)
    limits = thread_limits(cores)
    assert set(limits.values()) == {threads}
    assert {THREADS, "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"} <= set(limits)


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv(THREADS, "5")
    assert THREADS not in thread_limits(16)
