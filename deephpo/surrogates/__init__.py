"""Models of the objective: each learns from observations and gives a posterior that can be conditioned."""
