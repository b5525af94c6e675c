"""Pages on paper, by WeasyPrint: in a process of its own for each."""
