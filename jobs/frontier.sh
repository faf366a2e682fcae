#!/bin/bash
# To be changed by hand: what is asked for, the run directory, the problem and its options; and `deephpo` in
# the launch line to its whole path, where a job begins without your environment, as with PBS.
# Before it is submitted: mkdir -p runs/digits_mlp
# `deephpo submit` does all that by itself, and looks at everything first.
# A search of digits_mlp: 1 master, 16 workers on 2 nodes with 8 GPUs each.
# Submitted again it goes on where the search stopped:
#   sbatch jobs/frontier.sh
#SBATCH --job-name=digits_mlp
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=9
#SBATCH --time=01:00:00
#SBATCH --account=ACCOUNT
#SBATCH --partition=batch
#SBATCH --gpus-per-node=8
#SBATCH --output=runs/digits_mlp/job.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60

run=runs/digits_mlp
cd "$SLURM_SUBMIT_DIR" || exit
# The time above, in seconds: the search watches this clock, and is done before the job is ended.
export DEEPHPO_END_TIME=$(($(date +%s) + 3600))
export MIOPEN_DISABLE_CACHE=1

unset SLURM_NTASKS_PER_NODE SLURM_CPUS_PER_TASK
launch=(srun -N 2 -n 17 --distribution=cyclic --cpu-bind=none deephpo)

# To the launcher alone, which passes it on to all ranks.  SIGTERM must not be passed on.
trap 'warned=1; kill -USR1 "$search"' USR1
# How many trials have a result; those that go out again have none.
ended() { grep -s '"kind":"Ended"' "$run/journal.jsonl" | grep -cv '"state":"preempted"'; }

warned=0 crashes=0
while :; do
    before=$(ended)
    if [ -s "$run/journal.jsonl" ]; then
        "${launch[@]}" resume "$run" &
    else
        "${launch[@]}" search problems/digits_mlp.py --trials 500 --run-dir "$run" &
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

if [ $rc = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    echo "job.sh: not done yet; Slurm is to start this job again"
    scontrol requeue "$SLURM_JOB_ID" && sleep 120    # in which Slurm ends this script
fi
[ $rc != 75 ] || echo "job.sh: not done yet; to go on: sbatch jobs/frontier.sh"
exit $rc
