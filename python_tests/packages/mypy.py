import extensions
import mypy.api
import mypy.build
import mypy.checker
import mypy_extensions  # noqa: F401

with open("checked.py", "w") as file:
    file.write(
        "import email.message, collections\n"
        "def f(x: int) -> str:\n    return x\n"
        "reveal_type(collections.OrderedDict(a=[1]))\n"
        "email.message.Message().no_such()\n"
        "import tokenize\nreveal_type(tokenize.detect_encoding)\n"
    )
output, errors, status = mypy.api.run(["--cache-dir=/dev/null", "--strict", "checked.py"])
print(output, errors, status)
extensions.show(mypy.build, mypy.checker)
