"""What the machine has for the trials: which accelerators a worker sees, and which of them it owns."""
