"""``deephpo doctor`` under mpirun: who is where."""

import json

import pytest

pytestmark = pytest.mark.mpi


def test_each_worker_sees_a_gpu_of_its_own(mpirun):
    ended = mpirun(3, "doctor", CUDA_VISIBLE_DEVICES="4,7")
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if " worker " in line]
    assert [row[1:4] for row in rows] == [
        ["1", "worker", "CUDA_VISIBLE_DEVICES=4"],
        ["2", "worker", "CUDA_VISIBLE_DEVICES=7"],
    ]
    assert "MPI_THREAD_" in ended.stdout


def test_more_workers_than_gpus_are_said(mpirun):
    found = json.loads(mpirun(4, "doctor", "--json", CUDA_VISIBLE_DEVICES="4,7").stdout)
    assert [seat["role"] for seat in found["seats"]] == ["master", "worker", "worker", "worker"]
    assert "--share-gpus" in found["flaws"][0]


def test_with_fault_tolerance_a_rank_may_die(mpirun):
    ended = mpirun(2, "doctor", launcher=("--with-ft", "ulfm"))
    assert "a rank that dies costs its trial a retry (ULFM)" in ended.stdout
