"""Values of indicators by district: where districts lie, what is known of each, how far they compare."""
