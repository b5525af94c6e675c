"""Words that every room speaks: errors, time, units, the Actor, the feed's Change."""
