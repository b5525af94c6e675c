"""Promises: initiatives with budget, milestones and the indicators they are to move."""
