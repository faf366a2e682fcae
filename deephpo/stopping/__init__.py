"""Early termination: rules that see what running trials report, and say which of them are hopeless."""
