"""Buying in the open: tenders, bids, awards, and the contracts they end in."""
