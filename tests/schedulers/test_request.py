"""What cannot be asked of a batch system is refused in a sentence."""

import pytest

from deephpo.errors import OptionError
from deephpo.schedulers.create import scheduler_of, scheduler_of_job
from deephpo.schedulers.launchers import launcher_of
from deephpo.schedulers.machines import machine_of
from deephpo.schedulers.request import Request

REFUSED = {
    "workers": ({"workers_per_node": 5}, "must be at most 4, the GPUs of a node, not 5; say --share-gpus"),
    "no workers": ({"workers_per_node": 0}, "--workers-per-node must be at least 1"),
    "nodes": ({"nodes": 0}, "--nodes must be at least 1"),
    "seconds": ({"walltime_s": 59}, "--walltime must be at least a minute, not 59 s"),
    "account": ({"machine": machine_of("polaris")}, "wants to know who pays: --account"),
    "gpus": (
        {"machine": machine_of("perlmutter"), "account": "m1", "gpus_per_node": 8},
        "--gpus-per-node must be at most 4 on this machine",
    ),
    "cores": (
        {"machine": machine_of("frontier"), "account": "m1", "cpus_per_worker": 7},
        "leave --cpus-per-worker out",
    ),
    "email": ({"email": "me"}, "--email must be an address"),
    "variable": ({"environment": (("A-B", "1"),)}, "--env must be NAME=VALUE"),
    "queue": ({"queue": "a b"}, "--queue must be one word, not 'a b'"),
    "path": (
        {"run_dir": "/my runs/x"},
        "do not take a path with ' ' in it: '/my runs/x'; say another --run-dir",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_for(case, request_for):
    changes, sentence = REFUSED[case]
    with pytest.raises(OptionError) as refused:
        request_for(**changes)
    assert sentence in str(refused.value)


def test_gpus_can_be_shared(request_for):
    assert request_for(workers_per_node=8, share_gpus=True).placement.ranks == 17


@pytest.mark.parametrize("table", [scheduler_of, machine_of, launcher_of])
def test_an_unknown_name_lists_the_known(table):
    with pytest.raises(OptionError, match=r"There is no .* 'polarys'.* Known: "):
        table("polarys")


def test_one_master_and_a_worker_for_each_gpu(request_for):
    request: Request = request_for(nodes=4)
    assert (request.placement.workers, request.placement.ranks) == (16, 17)
    assert request.node_hours == 8.0


@pytest.mark.parametrize(("seconds", "text"), [(60, "00:01:00"), (7200, "02:00:00"), (360_061, "100:01:01")])
def test_walltime_as_batch_systems_write_it(seconds, text, request_for):
    assert request_for(walltime_s=seconds).walltime == text


@pytest.mark.parametrize(
    ("problem", "name"),
    [("digits mlp/2", "digits-mlp-2"), ("a_name_of_twenty_signs", "a_name_of_twent"), ("---", "deephpo")],
)
def test_job_names_as_batch_systems_take_them(problem, name, request_for):
    assert request_for(problem=problem).job_name == name


def test_the_scheduler_of_a_job_is_known_by_its_variable():
    assert scheduler_of_job({"SLURM_JOB_ID": "1"}) is scheduler_of("slurm")
    assert scheduler_of_job({"PBS_JOBID": "1.head"}) is scheduler_of("pbs")
    assert scheduler_of_job({}) is None


def test_without_a_batch_system_auto_says_what_was_looked_for(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OptionError, match="neither sbatch nor qsub"):
        scheduler_of("auto")
