"""What the tables of several databases have in common."""
