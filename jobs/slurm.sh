#!/bin/bash
# A search on Slurm: N nodes with G GPUs each, one master and one worker for every GPU.
#
#   sbatch jobs/slurm.sh problems/digits_mlp.py --time-limit 50m
#
# Everything behind the script's name is handed to `deephpo search`.
#SBATCH --job-name=deephpo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=5
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.out

GPUS_PER_NODE=4

# Round robin over the nodes puts the extra rank, the master, on the first node beside its workers.
# With the site's MPI instead of mpirun: srun --mpi=pmix -n ... (srun --mpi=list shows what there is).
exec mpirun -np $((SLURM_NNODES * GPUS_PER_NODE + 1)) --map-by node \
    deephpo search "$@" --run-dir "runs/$SLURM_JOB_NAME-$SLURM_JOB_ID"
