"""Tests of which the assertions have to be rewritten."""

from filed.checked import add


def test_right(answer):
    """Hold."""
    assert answer["answer"][0] == add(0, 1)


def test_wrong(answer):
    """Fail, with an explanation."""
    assert answer["answer"] == [1, add(1, 1), 4]
