"""Functions with annotations, for those who check them."""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def wrong() -> int:
    """Return no number."""
    result: int = "text"  # type: ignore
    return result
