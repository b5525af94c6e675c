"""Who has a stake in the city: who they are, how they stand, who was heard (ITU-T Y Suppl. 34)."""
