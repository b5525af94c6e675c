"""What each phase of the plan asks for before the next one, one module a phase."""
