"""The state of the roads: normal week, sudden drops, the next hour."""
