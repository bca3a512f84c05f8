"""A package of modules only, which stays in the bundle."""

__version__ = "1.0"
