"""Where trials run: a warm child process, the user's code in it, and what it hears and says."""
