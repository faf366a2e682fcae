"""With which command a search goes on: the job script's own words are not contradicted."""

import pytest

from deephpo.cli.next_command import next_command
from deephpo.storage.run_directory import RunDirectory

JOB = {"SLURM_JOB_ID": "7"}
OUR_JOB = {**JOB, "DEEPHPO_END_TIME": "2000000000"}


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path)


@pytest.mark.parametrize("environment", [{}, JOB, OUR_JOB], ids=["no job", "job", "job with its end"])
def test_a_run_that_was_not_submitted_is_resumed(directory, environment):
    assert next_command(directory, environment) == f"Go on with: deephpo resume {directory.path}"


@pytest.mark.parametrize("job", ["SLURM_JOB_ID", "PBS_JOBID"])
def test_in_the_job_of_a_run_that_was_submitted_its_script_has_the_word(directory, job):
    directory.script.touch()
    assert next_command(directory, {job: "7", "DEEPHPO_END_TIME": "2000000000"}) is None


@pytest.mark.parametrize("environment", [{}, JOB], ids=["login node", "interactive job"])
def test_elsewhere_a_run_that_was_submitted_is_submitted_again(directory, environment):
    directory.script.touch()
    told = next_command(directory, environment)
    assert told.startswith(f"Go on with: deephpo submit {directory.path} --nodes N --walltime T ")
    assert told.endswith(f"or without a batch system: deephpo resume {directory.path}")
