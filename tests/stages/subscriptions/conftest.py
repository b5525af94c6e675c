"""Towns to subscribe in."""

from subscribing import bounds, impatient, lasting, town

__all__ = ["bounds", "impatient", "lasting", "town"]
