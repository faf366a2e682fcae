"""The run directory: the journal that is the truth, and the tables and archives rebuilt from it."""
