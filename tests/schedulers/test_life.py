"""The life of a job script, in bash, with small programs in the places of launcher and scheduler."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from deephpo.schedulers.create import scheduler_of
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended
from deephpo.trial import TrialState

EVERY_KIND = Path(__file__).parents[1] / "storage" / "every_kind.jsonl"

SEARCH = """#!/bin/bash
# Stands for `mpirun deephpo`: writes down how it was called, and ends as its plan says, one line a start.
echo "$*" >>{at}/calls
line=$(sed -n "$(wc -l <{at}/calls)p" {at}/plan)
set -- $line
for k in $(seq "$2"); do echo '{{"kind":"Ended","state":"'"${{3:-completed}}"'"}}' >>{at}/journal.jsonl; done
if [ "$1" = wait ]; then
    trap 'echo warned >>{at}/calls; exit 75' USR1
    touch {at}/waiting
    while :; do sleep 0.05; done
fi
exit "$1"
"""


@pytest.fixture
def job(request_for, tmp_path):
    """Return a function that writes a job script whose searches end as planned.

    A start's plan: its exit code, how many trials end, and as what if not completed.
    """

    def write(*plan, scheduler="slurm", **changes):
        (tmp_path / "plan").write_text("".join(f"{' '.join(map(str, line))}\n" for line in plan))
        (tmp_path / "mpirun").write_text(SEARCH.format(at=tmp_path))
        for command in ("scontrol", "qsub"):
            (tmp_path / command).write_text(f'#!/bin/bash\necho {command} "$@" >>{tmp_path}/asked\nexit 1\n')
        for program in ("mpirun", "scontrol", "qsub"):
            (tmp_path / program).chmod(0o755)
        at = str(tmp_path)
        request = request_for(run_dir=at, start_dir=at, launcher_path=at, **changes)
        script = tmp_path / "job.sh"
        script.write_text(scheduler_of(scheduler).script(request))
        return script

    return write


def run(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        **os.environ,
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "PBS_JOBID": "7.head",
        **environment,
    }
    return subprocess.run(["bash", script], capture_output=True, text=True, env=variables, timeout=30)


def verbs(script: Path) -> list[str]:
    """Return which verb each start of the search had."""
    calls = (script.parent / "calls").read_text().splitlines()
    return [call.split("/venv/bin/deephpo ")[1].split()[0] for call in calls if "deephpo" in call]


def asked(script: Path) -> str:
    """Return what was asked of the scheduler."""
    answers = script.parent / "asked"
    return answers.read_text().strip() if answers.exists() else ""


def test_a_search_that_is_done_ends_the_chain(job):
    script = job((0, 5), chain=3)
    assert run(script).returncode == 0
    assert verbs(script) == ["search"]
    assert asked(script) == ""


def test_a_run_that_is_there_is_resumed(job):
    script = job((0, 5))
    (script.parent / "journal.jsonl").write_text('{"kind":"Begun"}\n')
    assert run(script).returncode == 0
    assert verbs(script) == ["resume"]


def test_a_search_that_was_cut_off_before_its_first_record_is_begun_anew(job):
    script = job((0, 5))
    (script.parent / "journal.jsonl").touch()
    assert run(script).returncode == 0
    assert verbs(script) == ["search"]


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
def test_without_one_of_its_modules_nothing_is_searched(scheduler, job):
    script = job((0, 5), scheduler=scheduler, modules=("gcc/12", "openmpi/5"))
    ended = run(script, **{"BASH_FUNC_module%%": '() { [ "$2" = gcc/12 ]; }'})
    assert ended.returncode == 2
    printed = script.with_name("job.out").read_text() if scheduler == "pbs" else ended.stderr
    assert printed == "job.sh: the module openmpi/5 could not be loaded: mend that line, or --modules\n"
    assert not script.with_name("calls").exists()


def test_wrong_input_is_not_tried_again(job):
    script = job((2, 0), chain=3)
    assert run(script).returncode == 2
    assert verbs(script) == ["search"]
    assert asked(script) == ""


def test_a_crash_is_followed_by_two_more_starts_at_most_if_nothing_comes_of_them(job):
    script = job((139, 0), (139, 0), (139, 0), (0, 5), chain=3)
    ended = run(script)
    assert ended.returncode == 139
    assert verbs(script) == ["search"] * 3
    assert "failed 3 times and got no further; last exit code: 139" in ended.stderr
    assert asked(script) == ""


def test_trials_that_only_go_out_again_are_no_progress(job):
    script = job(*[(137, 8, "preempted")] * 5, (0, 5))
    assert run(script).returncode == 137
    assert len(verbs(script)) == 3


def test_a_search_that_ended_because_all_trials_failed_is_not_tried_again(job):
    script = job((3, 20, "failed"), (0, 480), chain=3)
    assert run(script).returncode == 3
    assert verbs(script) == ["search"]
    assert asked(script) == ""


def test_results_are_counted_as_they_stand_in_a_journal(job, tmp_path):
    script = job((0, 0)).read_text()
    count = next(line for line in script.splitlines() if line.startswith("ended()"))
    shutil.copy(EVERY_KIND, tmp_path / "journal.jsonl")
    counted = subprocess.check_output(["bash", "-c", f"run={tmp_path}\n{count}\nended"], text=True)
    ended = [record for record in read_journal(EVERY_KIND) if isinstance(record, Ended)]
    results = [record for record in ended if record.outcome.state is not TrialState.PREEMPTED]
    assert int(counted) == len(results) < len(ended)


def test_crashes_that_each_bring_results_go_on(job):
    script = job((1, 2), (139, 2), (1, 2), (1, 2), (0, 1))
    assert run(script).returncode == 0
    assert verbs(script) == ["search"] + ["resume"] * 4


CHAINS = {
    "slurm": ("SLURM_RESTART_COUNT", "scontrol requeue 7"),
    "pbs": ("DEEPHPO_RESTARTS", "qsub -W depend=afterany:7.head -v DEEPHPO_RESTARTS=2 {script}"),
}


@pytest.mark.parametrize("scheduler", CHAINS)
def test_when_the_time_was_up_another_job_follows_until_the_chain_is_used_up(scheduler, job):
    variable, command = CHAINS[scheduler]
    script = job((75, 5), (75, 5), scheduler=scheduler, chain=2)
    assert run(script, **{variable: "1"}).returncode == 75
    assert asked(script) == command.format(script=script)
    assert run(script, **{variable: "2"}).returncode == 75
    assert asked(script) == command.format(script=script)


def test_without_a_chain_the_script_says_how_to_go_on(job):
    script = job((75, 5))
    ended = run(script)
    assert ended.returncode == 75
    assert f"to go on: sbatch {script}" in ended.stdout
    assert asked(script) == ""


def test_a_warning_reaches_the_search_whose_exit_code_is_that_of_the_job(job, tmp_path):
    script = job(("wait", 3))
    variables = {**os.environ, "SLURM_JOB_ID": "7"}
    with subprocess.Popen(["bash", script], env=variables, stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + 20
        while not (tmp_path / "waiting").exists() and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(signal.SIGUSR1)  # to the script alone, as Slurm does
        assert running.wait(20) == 75
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "warned"


def test_the_job_that_follows_on_pbs_is_the_one_that_is_remembered(job):
    script = job((75, 5), scheduler="pbs", chain=1)
    qsub = script.with_name("qsub")
    qsub.write_text("#!/bin/bash\necho 8.head\n")
    assert run(script).returncode == 75
    assert script.with_name("job").read_text() == "8.head\n"
    assert script.with_name("job.out").read_text().endswith("another job is to go on\n8.head\n")
