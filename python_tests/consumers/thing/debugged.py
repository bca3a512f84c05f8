"""A program to be debugged."""


def double(number):
    """Double a number."""
    result = number * 2
    return result


def main():
    """Print a number."""
    print(double(21))


if __name__ == "__main__":
    main()
