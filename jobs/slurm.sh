#!/bin/bash
# A search on Slurm: N nodes with G GPUs each, one master and one worker for every GPU.
#
#   sbatch jobs/slurm.sh problems/digits_mlp.py --trials 500
#
# Everything behind the script's name is handed to `deephpo search`.  A search that was not done when its job ended
# goes on when `search ...` below is replaced by `resume runs/...`.
#SBATCH --job-name=deephpo
#SBATCH --nodes=2
#SBATCH --gpus-per-node=4
#SBATCH --ntasks-per-node=5
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.out

GPUS_PER_NODE=4

# The workers of a node share out its GPUs: each trains on its own.
# Round robin over the nodes puts the extra rank, the master, on the first node beside its workers.  Nothing is
# bound to cores: deephpo shares a node's cores out among its workers.
# With the site's own MPI: srun --mpi=pmix -n ... (srun --mpi=list shows what there is).
exec mpirun -np $((SLURM_NNODES * GPUS_PER_NODE + 1)) --map-by node --bind-to none \
    deephpo search "$@" --run-dir "runs/$SLURM_JOB_NAME-$SLURM_JOB_ID"
