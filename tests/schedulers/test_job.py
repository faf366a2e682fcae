"""The line that says in which batch job a search runs."""

import os

import pytest

from deephpo.schedulers.job import job_line


def test_outside_a_job_there_is_none():
    assert job_line({"PATH": os.environ["PATH"]}) is None


@pytest.mark.parametrize(
    ("restarts", "hosts", "line"),
    [
        ({}, ["x1"], "PBS job 9.head, on 1 node: x1"),
        ({}, ["x2", "x2", "x1", "x1"], "PBS job 9.head, on 2 nodes: x2, x1"),
        ({"DEEPHPO_RESTARTS": "2"}, ["x1"], "PBS job 9.head, start 3, on 1 node: x1"),
        ({"DEEPHPO_RESTARTS": "0"}, [f"x{k}" for k in range(9)], "PBS job 9.head, on 9 nodes: x0 to x8"),
    ],
)
def test_a_job_its_start_and_its_nodes(restarts, hosts, line, tmp_path):
    (tmp_path / "nodes").write_text("".join(f"{host}\n" for host in hosts))
    environment = {"PBS_JOBID": "9.head", "PBS_NODEFILE": f"{tmp_path}/nodes", "PATH": os.environ["PATH"]}
    assert job_line({**environment, **restarts}) == line


@pytest.mark.parametrize("job", [{"PBS_JOBID": "9.head"}, {"SLURM_JOB_ID": "9"}])
def test_nodes_that_nobody_names_are_left_away(job):
    assert job_line({**job, "PATH": "/nowhere"}).endswith("9.head" if "PBS_JOBID" in job else "job 9")


def test_slurm_names_its_nodes_by_scontrol(tmp_path):
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/bash\n[ "$*" = "show hostnames node[1-2]" ] && printf "node1\\nnode2\\n"\n')
    program.chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_RESTART_COUNT": "1"}
    line = job_line({**job, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert line == "Slurm job 7, start 2, on 2 nodes: node1, node2"
