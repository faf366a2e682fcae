"""The ready scripts in jobs/ are what the functions write."""

import venv
from pathlib import Path

import pytest

from deephpo.schedulers.ready import READY, ready_script

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize("name", READY)
def test_a_ready_script_is_what_is_generated(name):
    assert (JOBS / name).read_text() == ready_script(name)


def test_no_other_script_there_asks_for_nodes():
    asking = [path.name for path in JOBS.glob("*.sh") if "#SBATCH --" in path.read_text()]
    assert set(asking) <= set(READY)


def test_an_environment_that_was_staged_runs_from_where_it_was_unpacked(tmp_path, command):
    stage, packed, local = JOBS / "stage_env.sh", tmp_path / "env.tar.gz", tmp_path / "disk" / "env"
    venv.create(tmp_path / "env", with_pip=False)
    assert command(stage, "pack", tmp_path / "env", packed).returncode == 0
    for _ in range(2):  # as by two ranks of a node
        assert command(stage, "unpack", packed, local).returncode == 0
    prefix = command(local / "bin" / "python", "-c", "import sys; print(sys.prefix)").stdout
    assert prefix.strip() == str(local)


def test_staging_says_what_is_missing(tmp_path, command):
    missing = command(JOBS / "stage_env.sh", "unpack", tmp_path / "no.tar.gz", tmp_path / "env")
    assert (missing.returncode, missing.stderr) == (
        2,
        f"stage_env: there is no {tmp_path}/no.tar.gz; pack it first\n",
    )
    assert command(JOBS / "stage_env.sh").returncode == 2
