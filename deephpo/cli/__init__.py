"""The command line: one file a verb, and the session that puts a search together."""
