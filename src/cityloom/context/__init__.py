"""Knows how the city is now: provision and consumption of entities. Owns the feed.

commands -> Provision (merge, into the overlay) -> Committer (one writer thread, one transaction)
         -> CurrentState (memory) -> Stages (whoever follows) and Folding (the table on disk)
"""
