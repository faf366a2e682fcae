"""The outside worlds in which a search can run: MPI ranks, local processes, virtual time."""
