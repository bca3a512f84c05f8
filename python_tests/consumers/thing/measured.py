"""A program of which not every line and not every branch runs."""


def sign(number):
    """Tell the sign of a number."""
    if number < 0:
        return "-"
    if number > 0:
        return "+"
    return "0"


def never():
    """Is not called."""
    return sign(0)


if __name__ == "__main__":
    print(sign(5))
