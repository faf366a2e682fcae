"""Strategies behind one ask/tell object; none of them knows of MPI, workers or time."""
