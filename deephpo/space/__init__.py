"""The search space: parameters, conditions and forbidden combinations, and their vector encoding."""
