"""When the job ends that a process runs in, and whether one has ended, in the words of the batch systems."""

import time

import pytest

from deephpo.cli.main import main
from deephpo.schedulers.create import scheduler_of
from deephpo.schedulers.end_of_job import MARGIN_S, seconds_left

PROBLEM = """
from deephpo import Float, Problem

problem = Problem([Float("x", 0.0, 1.0)], lambda config, ctx: config["x"], objective="loss")
"""
QSTAT = """Job Id: 12.head
    Job_Name = hartmann6
    job_state = R
    Resource_List.walltime = 02:30:10
    Resource_List.select = 2:ncpus=5
    stime = Sun Nov 22 03:10:34 2026
    session_id = 4711
"""


@pytest.fixture
def saying(tmp_path, monkeypatch):
    """Return a function that lets a command print a text, once it is asked for the job 12."""

    def let(command, text):
        (tmp_path / "text").write_text(text)
        program = tmp_path / command
        program.write_text(f'#!/bin/bash\n[[ " $* " == *" 12"* ]] && cat {tmp_path}/text\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return let


def local(year, month, day, hour, minute, second):
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))


def test_squeue_says_it(saying):
    saying("squeue", "2026-11-22T05:00:00\n")
    end_s = scheduler_of("slurm").end_time_s({"SLURM_JOB_ID": "12"})
    assert end_s == local(2026, 11, 22, 5, 0, 0)


def test_qstat_says_when_it_began_and_for_how_long_it_may_go_on(saying):
    saying("qstat", QSTAT)
    assert scheduler_of("pbs").end_time_s({"PBS_JOBID": "12.head"}) == local(2026, 11, 22, 5, 40, 44)


@pytest.mark.parametrize("letter", ["Q", "R", "H", "F", "C"])
def test_a_job_that_has_ended_has_no_state_though_pbs_remembers_it(letter, saying):
    saying("qstat", QSTAT.replace("job_state = R", f"job_state = {letter}"))
    assert scheduler_of("pbs").state("12.head") == ("" if letter in "FC" else letter)
    assert scheduler_of("pbs").state("13.head") == ""


@pytest.mark.parametrize("text", ["N/A\n", "", "slurm_load_jobs error: Unable to contact slurm controller\n"])
def test_what_cannot_be_told_is_not_made_up(text, saying):
    saying("squeue", text)
    saying("qstat", text)
    assert scheduler_of("slurm").end_time_s({"SLURM_JOB_ID": "12"}) is None
    assert scheduler_of("pbs").end_time_s({"PBS_JOBID": "12.head"}) is None


def test_a_scheduler_whose_command_is_not_there_tells_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert scheduler_of("slurm").end_time_s({"SLURM_JOB_ID": "12"}) is None


def test_a_search_in_a_job_that_somebody_else_wrote_asks_the_batch_system(saying):
    end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 3600))
    saying("squeue", f"{end}\n")
    assert seconds_left({"SLURM_JOB_ID": "12"}) == pytest.approx(3600 - MARGIN_S, abs=5)


def test_a_simulation_asks_nobody(tmp_path, problem_file, monkeypatch):
    (tmp_path / "squeue").write_text(f"#!/bin/bash\ntouch {tmp_path}/asked\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    problem = problem_file(PROBLEM)
    assert main(["simulate", problem, "--search", "random", "--trials", "2", "--workers", "1"]) == 0
    assert not (tmp_path / "asked").exists()
    words = ["search", problem, "--search", "random", "--trials", "2", "--workers", "1"]
    assert main([*words, "--run-dir", str(tmp_path / "run")]) == 0
    assert (tmp_path / "asked").exists()


def test_the_job_scripts_own_clock_comes_first():
    environment = {"SLURM_JOB_ID": "12", "DEEPHPO_END_TIME": str(time.time() + 200)}
    assert seconds_left(environment) == pytest.approx(190, abs=1)
    assert seconds_left({}) is None
