"""Batch systems: what a search asks of them, as the text of a job script, and what they tell a job."""
