"""How things are kept and carried: one folder a technology, one file a port."""
