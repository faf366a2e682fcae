#!/bin/bash
# To be changed by hand: what is asked for, the run directory, the problem and its options; and `deephpo` in
# the launch line to its whole path, where a job begins without your environment, as with PBS.
# Before it is submitted: mkdir -p runs/digits_mlp
# `deephpo submit` does all that by itself, and looks at everything first.
# A search of digits_mlp: 1 master, 8 workers on 2 nodes with 4 GPUs each.
# Submitted again it goes on where the search stopped:
#   qsub jobs/polaris.sh
#PBS -N digits_mlp
#PBS -l select=2:system=polaris
#PBS -l place=scatter:excl
#PBS -l walltime=01:00:00
#PBS -A ACCOUNT
#PBS -q prod
#PBS -l filesystems=home:eagle
#PBS -j oe
#PBS -r y

run=runs/digits_mlp
cd "$PBS_O_WORKDIR" || exit
# PBS would show what is printed at the end only.
mkdir -p "$run" && exec >>"$run/job.out" 2>&1 || exit
# The time above, in seconds: the search watches this clock, and is done before the job is ended.
export DEEPHPO_END_TIME=$(($(date +%s) + 3600))

awk '!seen[$0]++' "$PBS_NODEFILE" | awk 'NR == 1 { first = $1 } { print $1 } END { print first }' >"$run/hosts"
launch=(mpiexec --hostfile "$run/hosts" -n 9 --ppn 4 --cpu-bind none deephpo)

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

if [ $rc = 75 ] && [ "${DEEPHPO_RESTARTS:-0}" -lt 3 ]; then
    echo "job.sh: not done yet; another job is to go on"
    count=$((${DEEPHPO_RESTARTS:-0} + 1))
    qsub -W depend=afterany:"$PBS_JOBID" -v DEEPHPO_RESTARTS=$count jobs/polaris.sh >"$run/job" \
        && cat "$run/job" && exit 75
fi
[ $rc != 75 ] || echo "job.sh: not done yet; to go on: qsub jobs/polaris.sh"
exit $rc
