"""Packages that open their data by path: from a bundle as from their virtual environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cases import Case, Command, Comparison, each
from conftest import Application

PACKAGES = Path(__file__).parent / "packages"

# Whole sets: one virtual environment and one bundle stand for all of their cases.
LARGE = ("Django==5.2.7", "botocore==1.44.5", "pymorphy3==2.0.6")
SMALL = (
    "Sphinx==8.1.3",
    "babel==2.18.0",
    "certifi==2026.10.18",
    "furo==2025.12.19",
    "importlib_resources==7.1.0",
    "jsonschema==4.26.0",
    "pycountry==26.2.16",
    "pytz==2026.6",
    "setuptools==80.10.2",
    "tldextract==5.4.0",
)

SITE = {
    "site/conf.py": "project = 'Thing'\nhtml_theme = 'furo'\nlanguage = 'fr'\n"
    "html_last_updated_fmt = None\n",
    "site/index.rst": "Thing\n=====\n\n.. toctree::\n\n   more\n\n.. warning:: Warned.\n",
    "site/more.rst": "More\n====\n\n.. math:: a^2\n\n.. code-block:: python\n\n   x = 1\n",
}


def script(
    name: str, shows: str, *, requirements: tuple[str, ...] = SMALL, **further: tuple[str, ...]
) -> Case:
    """Return the case of the script of that name, which shows that text."""
    return Case(
        name=name,
        requirements=requirements,
        files={"script.py": (PACKAGES / f"{name}.py").read_text()},
        commands=(Command(("script.py",), shows=shows),),
        quick=requirements is SMALL,
        **further,
    )


CASES = [
    script("babel", shows="日本標準時"),
    script(
        "botocore",
        requirements=LARGE,
        shows="https://s3.amazonaws.com/b/",
        changing=(r"(Date|Expires)=\w+", r"Signature=[\w%]+", r"AKIDEXAMPLE%2F\d+"),
    ),
    script("certifi", shows="loaded"),
    script("django", requirements=LARGE, shows="This password is too common."),
    script("docutils", shows="©"),
    script("jsonschema", shows="'x' is a required property"),
    script("pkg_resources", shows="furo 2025.12.19"),
    script("pycountry", shows="Deutschland"),
    script("pymorphy3", requirements=LARGE, shows="кошка"),
    script("pytz", shows="2024-07-01 00:00:00-04:00"),
    script("sphinxcontrib", shows="MultiplexedPath ['applehelp', 'devhelp'"),
    script("tldextract", shows="co.uk", names_only=("cache/*",)),
    script("ways_to_read", shows="file is not a database"),
    Case(
        name="sphinx-furo",
        requirements=SMALL,
        files=SITE,
        commands=(
            Command(
                ("-m", "sphinx", "-b", "html", "site", "html"), shows="The HTML pages are in html."
            ),
            Command(("-m", "sphinx", "-b", "latex", "site", "latex"), shows="build succeeded"),
            Command(("-m", "sphinx", "-b", "gettext", "site", "text"), shows="build succeeded"),
        ),
        creates=("html/_static/styles/furo.css", "latex/thing.tex", "text/index.pot"),
        names_only=("*.doctrees/*", "*/.buildinfo", "*.pickle", "*.pot"),
        changing=(r"loading translations \[fr\]... .*", r"\\date\{.*\}"),
    ),
]


@each(CASES)
def test_files_by_path(case: Case, comparison: Comparison) -> None:
    """Same output and files, wherever a package looks for its data."""
    comparison(case)


def test_files_below_the_prefix(application: Callable[..., Application], tmp_path: Path) -> None:
    """What a wheel installs into `share` is below `sys.prefix`, also when a bundle has changed."""
    main = """\
import os, sys, thing
folder = os.path.join(sys.prefix, "share", "thing")
for name in sorted(os.listdir(folder)):
    print(name, open(os.path.join(folder, name)).read())
"""
    for content in "old", "new":
        files = {
            "__main__.py": main,
            "thing.py": "",
            "share/thing/data.txt": content,
            "share/thing/tool.py": "1",
            "thing-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1\n",
            "thing-1.dist-info/RECORD": "thing.py,,\n../../share/thing/data.txt,,\n"
            "../../share/thing/tool.py,,\n",
        }
        app = application(files)
        bundle = tmp_path / "app.pyz"
        bundle.write_bytes(app.bundle.read_bytes())
        for _ in range(2):
            outcome = app.run(app.mmport, "run", bundle).succeeded()
            assert outcome.stdout == f"data.txt {content}\ntool.py 1\n"
    main = "import os, sys\nprint(os.path.exists(os.path.join(sys.prefix, 'share')))\n"
    bundle.write_bytes(application(main).bundle.read_bytes())
    assert app.run(app.mmport, "run", bundle).succeeded().stdout == "False\n"


def test_a_materialized_module_runs_as_a_script(application: Callable[..., Application]) -> None:
    """`sys.executable` runs the file by its path, with its own folder first."""
    app = application(
        {
            "__main__.py": "import subprocess, sys\n"
            "import kit.tool\n"
            "assert not sys.argv[1:], 'the application runs again'\n"
            "command = [sys.executable, kit.tool.__file__, 'x']\n"
            "done = subprocess.run(command, capture_output=True, text=True)\n"
            "print(done.stdout.rstrip(), done.stderr, done.returncode)\n",
            "kit/__init__.py": "",
            "kit/data.txt": "a text",
            "kit/beside.py": "value = __name__\n",
            "kit/tool.py": "import os, sys\n"
            "if __name__ == '__main__':\n"
            "    import beside\n"
            "    print(__spec__, sys.argv[1:], os.path.basename(sys.path[0]), beside.value)\n",
        }
    )
    found, expected = app.bundled().succeeded(), app.plain().succeeded()
    assert expected.stdout == "None ['x'] kit beside  0\n"
    assert str(found) == str(expected)


def test_a_module_in_the_bundle_is_no_script(application: Callable[..., Application]) -> None:
    """As in any zip; the application is not run again in its place."""
    app = application(
        {
            "__main__.py": "import importlib, subprocess, sys\n"
            "import kit.tool\n"
            "if sys.argv[1:]:\n"
            "    sys.exit('the application runs again')\n"
            "sys.argv.append('reloaded')\n"
            "try:\n"
            "    importlib.reload(sys.modules['__main__'])\n"
            "except SystemExit as error:\n"
            "    print(error)\n"
            "command = [sys.executable, kit.tool.__file__, 'x']\n"
            "done = subprocess.run(command, capture_output=True, text=True)\n"
            "print(done.stderr, done.returncode, kit.tool.__file__)\n",
            "kit/__init__.py": "",
            "kit/tool.py": "",
        }
    )
    found = app.bundled().succeeded().stdout
    assert found.count("the application runs again") == 1, "only reloaded"
    assert "can't find '__main__' module in" in found
    assert f"1 {app.bundle}/kit/tool.py" in found
