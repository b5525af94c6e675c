"""Tells other systems what changed: subscriptions, which of them a change concerns, and its delivery."""
