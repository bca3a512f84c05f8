"""A package with data, which is brought out as files."""
