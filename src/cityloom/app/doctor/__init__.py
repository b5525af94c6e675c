"""`cityloom doctor`: what is wrong with a city that runs or does not, why it matters, what to do."""
