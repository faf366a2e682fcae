#!/bin/bash
# A search on PBS: N nodes with G GPUs each, one master and one worker for every GPU.
#
#   qsub -v PROBLEM=problems/digits_mlp.py,OPTIONS="--trials 500" jobs/pbs.sh
#
# A search that was not done when its job ended goes on when `search ...` below is replaced by `resume runs/...`.
#PBS -N deephpo
#PBS -l select=2:ncpus=32:ngpus=4:mpiprocs=5
#PBS -l place=scatter:excl
#PBS -l walltime=01:00:00
#PBS -j oe

GPUS_PER_NODE=4
# PBS does not tell a job when it ends: this is the walltime above.
export DEEPHPO_END_TIME=$(($(date +%s) + 60 * 60))

# PBS starts in the home directory, and its node file has one line for each MPI process.
cd "$PBS_O_WORKDIR" || exit
NODES=$(sort -u "$PBS_NODEFILE" | wc -l)

# The workers of a node share out its GPUs: each trains on its own.
# Round robin over the nodes puts the extra rank, the master, on the first node beside its workers.  Nothing is
# bound to cores: deephpo shares a node's cores out among its workers.
# OPTIONS is meant to fall apart into words.
# shellcheck disable=SC2086
exec mpirun -np $((NODES * GPUS_PER_NODE + 1)) --map-by node --bind-to none \
    deephpo search "$PROBLEM" $OPTIONS --run-dir "runs/deephpo-${PBS_JOBID%%.*}"
