"""The pages, one module for one part of the city. A handler takes a Visit and returns its answer."""
