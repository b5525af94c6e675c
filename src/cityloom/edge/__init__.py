"""A city in two places: an edge that works on its own brings its changes to the centre when it has a line."""
