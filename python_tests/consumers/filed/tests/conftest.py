"""Fixtures of the tests."""

import pytest


@pytest.fixture
def answer():
    """Return the answer."""
    return {"answer": [1, 2, 3]}
