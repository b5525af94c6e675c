"""Towns to subscribe in."""

from subscribing import impatient, lasting, town

__all__ = ["impatient", "lasting", "town"]
