"""The master plan: what the city wants to become, and how."""
