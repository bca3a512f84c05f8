"""Import hooks that check types."""

import sys
import traceback


def main(name):
    """Import under a hook, and do wrong."""
    if name == "typeguard":
        import typeguard

        typeguard.install_import_hook("filed")
    else:
        from beartype.claw import beartype_package

        beartype_package("filed")
    import filed.checked

    print(filed.checked.__file__, type(filed.checked.__loader__))
    print(filed.checked.add(1, 2))
    for call in (lambda: filed.checked.add("a", "b")), filed.checked.wrong:
        try:
            print(call())
        except Exception:
            traceback.print_exc()


if __name__ == "__main__":
    main(sys.argv[1])
