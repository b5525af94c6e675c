"""Snapshots: how Entities were at one moment, to be looked at and changed in peace."""
