"""`cityloom load`: a table of the past brought into the city, and taken out again."""
