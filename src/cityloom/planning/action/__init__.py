"""The action plan: what an initiative must say before it is approved, and what follows for all of them."""
