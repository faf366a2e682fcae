"""The job scripts, line by line; that they do what they say is seen on a real cluster, or in bash."""

import subprocess

import pytest

from deephpo.schedulers.create import SCHEDULERS, scheduler_of
from deephpo.schedulers.launchers import LAUNCHERS, launcher_of
from deephpo.schedulers.machines import MACHINES, machine_of

LIFE = """\
# How many trials have a result; those that go out again have none.
ended() { grep -s '"kind":"Ended"' "$run/journal.jsonl" | grep -cv '"state":"preempted"'; }

warned=0 crashes=0
while :; do
    before=$(ended)
    if [ -s "$run/journal.jsonl" ]; then
        "${launch[@]}" resume "$run" &
    else
        "${launch[@]}" search problems/hartmann6.py --trials 50 --run-dir "$run" &
    fi
    search=$!
    # A signal that is trapped interrupts the wait; the exit code is had by waiting again.
    while wait "$search"; rc=$?; [ $rc -gt 128 ] && kill -0 "$search" 2>/dev/null; do :; done
    if [ $rc -gt 128 ]; then wait "$search" 2>/dev/null; last=$?; [ $last = 127 ] || rc=$last; fi
    # 0: done; 2: what was asked for is wrong; 3: every trial failed; 75: it can be resumed.
    case $rc in 0 | 2 | 3 | 75) break ;; esac
    if [ $warned = 1 ]; then rc=75; break; fi
    if [ "$(ended)" -gt "$before" ]; then crashes=0; fi
    crashes=$((crashes + 1))
    if [ $crashes -gt 2 ]; then
        echo "job.sh: the search failed $crashes times and got no further; last exit code: $rc" >&2
        break
    fi
    echo "job.sh: the search failed with exit code $rc; it is started again" >&2
done
"""

SLURM = f"""\
#!/bin/bash
# A search of hartmann6: 1 master, 8 workers on 2 nodes with 4 GPUs each.
# Submitted again it goes on where the search stopped:
#   sbatch /scratch/runs/h6/job.sh
#SBATCH --job-name=hartmann6
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=5
#SBATCH --time=02:00:00
#SBATCH --gpus-per-node=4
#SBATCH --output=/scratch/runs/h6/job.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60

run=/scratch/runs/h6
cd /home/me || exit
# The time above, in seconds: the search watches this clock, and is done before the job is ended.
export DEEPHPO_END_TIME=$(($(date +%s) + 7200))

launch=(mpirun -np 9 --map-by node --bind-to none /venv/bin/deephpo)

# To the launcher alone, which passes it on to all ranks.  SIGTERM must not be passed on.
trap 'warned=1; kill -USR1 "$search"' USR1
{LIFE}
if [ $rc = 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt 3 ]; then
    echo "job.sh: not done yet; Slurm is to start this job again"
    scontrol requeue "$SLURM_JOB_ID" && sleep 120    # in which Slurm ends this script
fi
[ $rc != 75 ] || echo "job.sh: not done yet; to go on: sbatch /scratch/runs/h6/job.sh"
exit $rc
"""

PBS = f"""\
#!/bin/bash
# A search of hartmann6: 1 master, 8 workers on 2 nodes with 4 GPUs each.
# Submitted again it goes on where the search stopped:
#   qsub /scratch/runs/h6/job.sh
#PBS -N hartmann6
#PBS -l select=2:ncpus=5:mpiprocs=5:ngpus=4
#PBS -l place=scatter
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -r y

run=/scratch/runs/h6
cd /home/me || exit
# PBS would show what is printed at the end only.
mkdir -p "$run" && exec >>"$run/job.out" 2>&1 || exit
# The time above, in seconds: the search watches this clock, and is done before the job is ended.
export DEEPHPO_END_TIME=$(($(date +%s) + 7200))

launch=(mpirun -np 9 --map-by node --bind-to none /venv/bin/deephpo)

{LIFE}
if [ $rc = 75 ] && [ "${{DEEPHPO_RESTARTS:-0}}" -lt 3 ]; then
    echo "job.sh: not done yet; another job is to go on"
    count=$((${{DEEPHPO_RESTARTS:-0}} + 1))
    qsub -W depend=afterany:"$PBS_JOBID" -v DEEPHPO_RESTARTS=$count /scratch/runs/h6/job.sh >"$run/job" \\
        && cat "$run/job" && exit 75
fi
[ $rc != 75 ] || echo "job.sh: not done yet; to go on: qsub /scratch/runs/h6/job.sh"
exit $rc
"""


@pytest.mark.parametrize(("name", "text"), [("slurm", SLURM), ("pbs", PBS)])
def test_the_whole_script(name, text, request_for):
    assert scheduler_of(name).script(request_for(chain=3)) == text


@pytest.fixture
def added(request_for):
    """Return a function: which lines a change of the request brings into the script, and which it takes."""

    def compare(name, **changes):
        before = scheduler_of(name).script(request_for()).splitlines()
        after = scheduler_of(name).script(request_for(**changes)).splitlines()
        return [line for line in after if line not in before], [line for line in before if line not in after]

    return compare


WISHES = {
    "account": ("m1234", "#SBATCH --account=m1234", "#PBS -A m1234"),
    "queue": ("debug", "#SBATCH --partition=debug", "#PBS -q debug"),
    "constraint": (
        "a100",
        "#SBATCH --constraint=a100",
        "#PBS -l select=2:ncpus=5:mpiprocs=5:ngpus=4:a100=True",
    ),
    "cpus_per_worker": (
        7,
        "#SBATCH --ntasks-per-node=29",
        "#PBS -l select=2:ncpus=29:mpiprocs=5:ngpus=4",
    ),
}


@pytest.mark.parametrize("wish", WISHES)
def test_each_wish_is_one_line(wish, added):
    value, slurm, pbs = WISHES[wish]
    assert added("slurm", **{wish: value})[0] == [slurm]
    assert added("pbs", **{wish: value})[0] == [pbs]


FORWARDED = "mpirun -np 9 --map-by node --bind-to none {} /venv/bin/deephpo"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_variables_are_set_and_handed_on_to_other_nodes(name, added):
    new, gone = added(name, environment=(("DATA", "my data"), ("A", "1")))
    assert new == ["export DATA='my data'", "export A=1", f"launch=({FORWARDED.format('-x DATA -x A')})"]
    assert len(gone) == 1


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_modules_change_is_handed_on_if_it_is_there(name, added):
    launch = added(name, modules=("gcc/12",))[0][-1]
    shown = f"PATH=/p; unset LD_LIBRARY_PATH; PYTHONPATH=; {launch}; echo ${{launch[@]}}"
    words = subprocess.check_output(["/bin/bash", "-c", shown], text=True).strip()
    assert words == FORWARDED.format("-x PATH")


@pytest.mark.parametrize("name", sorted(LAUNCHERS.keys() - {"mpirun", "mpirun-ulfm"}))
def test_other_launchers_hand_all_variables_on_by_themselves(name, request_for):
    plain = {"launcher": launcher_of(name)}
    before, after = (
        scheduler_of("slurm").script(request_for(**plain, **changes)).splitlines()
        for changes in ({}, {"environment": (("DATA", "1"),), "modules": ("gcc",)})
    )
    new = [line for line in after if line not in before]
    assert (new[0], new[-1]) == ("for module in gcc; do", "export DATA=1")


@pytest.mark.parametrize(("walltime_s", "notice_s"), [(60, 15), (120, 30), (240, 60), (7200, 60)])
def test_short_jobs_are_warned_later(walltime_s, notice_s, request_for):
    lines = scheduler_of("slurm").script(request_for(walltime_s=walltime_s)).splitlines()
    assert f"#SBATCH --signal=B:USR1@{notice_s}" in lines


def test_mail_is_sent_at_the_end(added):
    assert added("slurm", email="me@site.org")[0] == [
        "#SBATCH --mail-user=me@site.org",
        "#SBATCH --mail-type=END,FAIL",
    ]
    assert added("pbs", email="me@site.org")[0] == ["#PBS -M me@site.org", "#PBS -m ae"]


def test_without_gpus_none_are_asked_for(added):
    new, gone = added("slurm", gpus_per_node=0)
    assert "#SBATCH --gpus-per-node=4" in gone
    assert not [line for line in new if "gpus" in line]
    assert "#PBS -l select=2:ncpus=5:mpiprocs=5" in added("pbs", gpus_per_node=0)[0]


def test_shared_gpus_are_announced_to_a_new_search_and_to_a_resumed_one(added):
    new, _ = added("slurm", workers_per_node=8, share_gpus=True)
    assert sum("--share-gpus" in line for line in new) == 2


def test_a_run_can_be_resumed_and_is_never_begun_anew(request_for):
    text = scheduler_of("slurm").script(request_for(arguments=()))
    assert '"${launch[@]}" search' not in text
    assert 'there is no run in $run that could be resumed" >&2' in text


LAUNCHES = {
    "mpirun": "mpirun -np 9 --map-by node --bind-to none",
    "mpirun-ulfm": "mpirun --with-ft ulfm -np 9 --map-by node --bind-to none",
    "mpiexec": 'mpiexec -f "$run/hosts" -n 9 -bind-to none',
    "srun": "srun -N 2 -n 9 --distribution=cyclic --cpu-bind=none",
    "srun-pmix": "srun -N 2 -n 9 --distribution=cyclic --cpu-bind=none --mpi=pmix",
    "srun-pmi2": "srun -N 2 -n 9 --distribution=cyclic --cpu-bind=none --mpi=pmi2",
    "pals": 'mpiexec --hostfile "$run/hosts" -n 9 --ppn 4 --cpu-bind none',
}


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_line_that_starts_the_ranks(name, request_for):
    text = scheduler_of("slurm").script(request_for(launcher=launcher_of(name)))
    assert f"launch=({LAUNCHES[name]} /venv/bin/deephpo)\n" in text


def test_a_launcher_that_is_not_on_the_path_is_called_by_its_own(request_for):
    text = scheduler_of("slurm").script(request_for(launcher_path="/venv/bin"))
    assert "launch=(/venv/bin/mpirun -np 9 " in text


HOSTS = {
    "mpiexec": ["node7:5", "node3:4"],
    "pals": ["node7", "node3", "node7"],
}


@pytest.mark.parametrize("name", HOSTS)
def test_the_host_file_has_the_master_on_the_first_node(name, request_for, tmp_path):
    request = request_for(launcher=launcher_of(name), run_dir=str(tmp_path))
    line = next(line for line in scheduler_of("pbs").script(request).splitlines() if "/hosts" in line)
    nodes = tmp_path / "nodes"
    nodes.write_text("node7\nnode7\nnode3\nnode3\n")  # a line for each process, as PBS writes it
    program = f'run={tmp_path}\nPBS_NODEFILE={nodes}\n{line}\ncat "$run/hosts"'
    assert subprocess.check_output(["bash", "-c", program], text=True).split() == HOSTS[name]


MACHINE_LINES = {
    "perlmutter": ["#SBATCH --qos=regular", "#SBATCH --constraint=gpu", "#SBATCH --gpus-per-node=4"],
    "frontier": ["#SBATCH --partition=regular", "#SBATCH --gpus-per-node=8", "export MIOPEN_DISABLE_CACHE=1"],
    "polaris": [
        "#PBS -l select=2:system=polaris",
        "#PBS -l place=scatter:excl",
        "#PBS -l filesystems=home:eagle",
    ],
    "aurora": [
        "#PBS -l select=2",
        "#PBS -l filesystems=home:flare",
        "export ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE",
        "export ZE_AFFINITY_MASK=0.0,0.1,1.0,1.1,2.0,2.1,3.0,3.1,4.0,4.1,5.0,5.1",
    ],
}


@pytest.mark.parametrize("name", sorted(MACHINES.keys() - {"generic"}))
def test_what_a_machine_wants_to_be_told(name, request_for):
    machine = machine_of(name)
    gpus = machine.gpus_per_node
    request = request_for(
        machine=machine,
        account="m1",
        queue="regular",
        gpus_per_node=gpus,
        workers_per_node=gpus,
        launcher=launcher_of(machine.launcher),
    )
    lines = scheduler_of(machine.scheduler).script(request).splitlines()
    assert [line for line in MACHINE_LINES[name] if line not in lines] == []


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("chain", [0, 2])
def test_bash_can_read_every_script(scheduler, launcher, chain, request_for):
    text = scheduler_of(scheduler).script(request_for(launcher=launcher_of(launcher), chain=chain))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_users_constraint_is_the_last_word(request_for):
    perlmutter = {"machine": machine_of("perlmutter"), "account": "m1", "constraint": "gpu&hbm80g"}
    lines = scheduler_of("slurm").script(request_for(**perlmutter)).splitlines()
    constraints = [line for line in lines if line.startswith("#SBATCH --constraint=")]
    assert constraints == ["#SBATCH --constraint=gpu", "#SBATCH --constraint=gpu&hbm80g"]


def test_a_constraint_of_pbs_may_have_a_value(added):
    assert added("pbs", constraint="gpu_type=a100")[0] == [
        "#PBS -l select=2:ncpus=5:mpiprocs=5:ngpus=4:gpu_type=a100"
    ]


def test_the_clock_runs_before_modules_are_loaded(request_for):
    text = scheduler_of("pbs").script(request_for(modules=("gcc",)))
    assert text.index("export DEEPHPO_END_TIME") < text.index("for module in gcc")


def test_a_launchers_place_may_have_a_space_in_it(request_for):
    text = scheduler_of("slurm").script(request_for(launcher_path="/my env/bin"))
    assert "launch=('/my env/bin'/mpirun -np 9 " in text
