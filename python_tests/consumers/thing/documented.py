"""A module with examples.

>>> documented(1)
2
"""


def documented(number):
    """Add one.

    >>> documented(2)
    4
    >>> documented(None)
    Traceback (most recent call last):
      ...
    TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'
    """
    return number + 1
