"""Pages of the action plan."""
