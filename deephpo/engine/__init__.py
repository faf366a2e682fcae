"""The engine: a pure coordinator, the buffer of suggestions, and the loop that joins them to a driver."""
