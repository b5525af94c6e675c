"""Aarhus on open data of August and September 2014."""
