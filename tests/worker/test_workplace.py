from multiprocessing.connection import wait

import pytest

from deephpo.hardware.devices import Device, Devices, Kind
from deephpo.trial import Outcome, Trial
from deephpo.worker.messages import Assignment, Gone
from deephpo.worker.place import ALONE, Place
from deephpo.worker.workplace import _THREAD_VARIABLES, Workplace, thread_limits

THREADS = "OMP_NUM_THREADS"


def test_an_assignment_holds_all_that_a_child_needs():
    workplace = Workplace("task.py", "/runs/one/trials")
    assert workplace.assignment(Trial(42, {"lr": 0.1}, seed=7)) == Assignment(
        42, {"lr": 0.1}, 7, "/runs/one/trials/000042"
    )


def test_a_trial_that_goes_out_again_learns_so_and_when_the_search_ends():
    workplace = Workplace("task.py", "/runs/one/trials", notice_s=2.5)
    again = workplace.assignment(Trial(42, {"lr": 0.1}, seed=7), attempt=3, left_s=90.0)
    assert (again.attempt, again.left_s, again.notice_s) == (3, 90.0, 2.5)


def test_a_trial_is_trained_by_one_process_unless_it_is_said_otherwise():
    workplace = Workplace("task.py", "/runs/one/trials")
    second = Place(1, (4, 9), ("a", "b"))
    assert workplace.assignment(Trial(42, {})).place == ALONE
    together = workplace.assignment(Trial(42, {}, ranks=2), 1, None, second)
    assert (together.place, together.directory) == (second, "/runs/one/trials/000042")


SEES = """
import os
from deephpo import Float, Problem

def run(config, ctx):
    names = ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH", "OMP_NUM_THREADS")
    print(ctx.device, *[os.environ.get(name) for name in names], flush=True)
    return 0.5

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


@pytest.mark.parametrize(
    ("devices", "seen"),
    [
        (Devices(), "cpu None None 2"),
        (Devices(Kind.CUDA, (Device("3", "pci 3"), Device("5", "pci 5"))), "gpu:0 3,5 true 2"),
    ],
    ids=["no GPU", "two GPUs"],
)
def test_a_trial_sees_the_devices_and_cores_that_are_its_own(
    devices, seen, problem_file, tmp_path, monkeypatch
):
    for name in ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH", "CUDA_DEVICE_ORDER", THREADS):
        monkeypatch.delenv(name, raising=False)
    workplace = Workplace(problem_file(SEES), str(tmp_path / "trials"), str(tmp_path))
    process = workplace.process_of(1, 2.5, devices)
    try:
        process.submit(workplace.assignment(Trial(0, {"x": 0.5})))
        while not any(isinstance(message, Outcome) for message in process.poll()):
            wait(process.sources, 0.1)
    finally:
        process.kill()
    assert (tmp_path / "worker-00001.txt").read_text() == f"{seen}\n"


@pytest.mark.parametrize("kept", [True, False])
def test_each_worker_has_an_output_file_of_its_own_or_none(kept, problem_file, tmp_path):
    target = problem_file("print('loading', flush=True)\nraise ValueError\n")
    output = tmp_path / "output"
    process = Workplace(target, str(tmp_path / "trials"), str(output) if kept else None).process_of(
        7, 1.0, Devices()
    )
    try:
        while not any(isinstance(message, Gone) for message in process.poll()):
            wait(process.sources, 0.1)
    finally:
        process.kill()
    printed = {path.name: path.read_text() for path in tmp_path.glob("output/*")}
    assert printed == ({"worker-00007.txt": "loading\n"} if kept else {})


@pytest.mark.parametrize(("cores", "threads"), [(16, "16"), (2.9, "2"), (1.0, "1"), (0.25, "1")])
def test_thread_pools_keep_to_whole_cores_one_at_least(monkeypatch, cores, threads):
    for name in _THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    limits = thread_limits(cores)
    assert set(limits.values()) == {threads}
    assert {THREADS, "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"} <= set(limits)


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv(THREADS, "5")
    assert THREADS not in thread_limits(16)
