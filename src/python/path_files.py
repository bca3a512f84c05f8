"""What `site` does with the lines of one `.pth` file, for a file in a bundle.

`apply_lines` runs with the namespace of `site` as its globals, and with the local variables that
code in `.pth` files is known to look for in the frame that executes it. All lines of a file are
executed in one frame: until CPython 3.12, a line sees the names that lines before it have bound.
"""


def apply_lines(sitedir, name, text, add_folder):
    fullname = f"{sitedir}/{name}"
    # Until CPython 3.12 the file is read as any text file.
    lines = text.splitlines() if sys.version_info >= (3, 13) else io.StringIO(text, None)
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            if line.startswith(("import ", "import\t")):
                exec(line)
            else:
                add_folder(line.rstrip())
        except Exception as error:
            return fullname, number, error
    return None


def report_error(fullname, number, error):
    import sys
    import traceback

    # The first frame is that of `apply_lines`; for a line that does not compile it is the only one.
    frames = error.__traceback__.tb_next
    lines = traceback.format_exception(type(error), error, frames)
    if frames is None:
        lines.insert(0, "Traceback (most recent call last):\n")
    shown = "".join(f"  {line}\n" for line in "".join(lines).splitlines())
    print(
        f"Error processing line {number} of {fullname}:\n\n{shown}\nRemainder of file ignored",
        file=sys.stderr,
    )
