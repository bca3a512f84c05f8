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
