"""CityLoom: the open platform on which a city, a town or a village becomes smart and sustainable."""

__version__ = "0.1.0"
