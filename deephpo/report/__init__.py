"""Tables and pictures of a run, drawn from its state alone."""
