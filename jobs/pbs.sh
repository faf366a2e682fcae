#!/bin/bash
# A search on PBS: N nodes with G GPUs each, one master and one worker for every GPU.
#
#   qsub -v PROBLEM=problems/digits_mlp.py,OPTIONS="--time-limit 50m" jobs/pbs.sh
#PBS -N deephpo
#PBS -l select=2:ncpus=32:mpiprocs=5
#PBS -l place=scatter
#PBS -l walltime=01:00:00
#PBS -j oe

GPUS_PER_NODE=4

# PBS starts in the home directory, and its node file has one line for each MPI process.
cd "$PBS_O_WORKDIR"
NODES=$(sort -u "$PBS_NODEFILE" | wc -l)

# OPTIONS is meant to fall apart into words.
# shellcheck disable=SC2086
exec mpirun -np $((NODES * GPUS_PER_NODE + 1)) --map-by node \
    deephpo search "$PROBLEM" $OPTIONS --run-dir "runs/deephpo-${PBS_JOBID%%.*}"
