"""Records: whatever is written down in planning, by one mechanism."""
