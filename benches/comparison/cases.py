"""What is compared: applications with pinned versions, and ways to run them."""

from __future__ import annotations

from dataclasses import dataclass, field

SETTINGS = """\
SECRET_KEY = "not secret"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
"""

UNFORMATTED = """\
def area( shapes ) :
    return sum( [ s [ 'width' ]*s[ 'height' ] for s in shapes if s  is not None ] )
class Shape( object ):
    def __init__( self,width , height, *, name = 'shape', colour = 'blue', border = None, fill= 1):
        self.width=width ; self.height  = height
        self.name,self.colour = name,colour
"""

PAGE = """\
A small site
============

Some text, a list and code:

- one
- two

.. code-block:: python

   print("hello")
"""

FRAME = """\
import pandas

frame = pandas.DataFrame({"name": ["a", "b", "a"], "value": [1, 2, 3]})
print(frame.groupby("name").sum())
"""


API = """\
from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    name: str
    price: float


app = FastAPI()


@app.post("/items")
def add(item: Item) -> Item:
    return item


print(sorted(app.openapi()["components"]["schemas"]))
"""


ABILITIES = """\
import multiprocessing
import sys


def main():
    multiprocessing.freeze_support()
    import jinja2

    if "native" in sys.argv:
        import markupsafe._speedups

        print(markupsafe._speedups.__name__)
    elif "data" in sys.argv:
        import certifi

        with open(certifi.where(), "rb") as file:
            print(len(file.read()) > 100_000)
    elif "spawn" in sys.argv:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(abs, [-3]))
    else:
        print(jinja2.Template("hello {{ name }}").render(name="you"))
"""


@dataclass(frozen=True)
class Application:
    """Something to install, pinned; resolved once, for the environment and the bundle alike."""

    name: str
    requirements: tuple[str, ...] = ()
    script: str | None = None
    """Console script that starts it; without one the bundle acts as Python."""
    source: str | None = None
    """The only module of an application of our own, whose `main` the script calls."""


@dataclass(frozen=True)
class Case:
    """One way to run an application."""

    name: str
    title: str
    application: Application
    arguments: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    """Written to the working directory."""
    standard_input: str | None = None
    """One of the files; without one standard input is empty."""
    environment: dict[str, str] = field(default_factory=dict)


NOTHING = Application("nothing", script="nothing", source="def main():\n    return 0\n")
"""An installed function that returns at once: a wheel for the environment, a source folder for
the bundle, both made by ``preparation.py``."""
ABLE = Application(
    "able", ("jinja2==3.1.6", "markupsafe==3.0.4", "certifi==2026.10.18"), "able", ABILITIES
)
"""What not every tool can run: an extension module, a data file, processes of its own."""
BLACK = Application("black", ("black==25.1.0",), "black")
HTTPIE = Application("httpie", ("httpie==3.2.4",), "http")
DJANGO = Application("django", ("django==5.2.8",), "django-admin")
SPHINX = Application("sphinx", ("sphinx==8.1.3",), "sphinx-build")
ANSIBLE = Application("ansible", ("ansible-core==2.19.14",), "ansible-inventory")
POETRY = Application("poetry", ("poetry==2.5.1",), "poetry")
# Not by the name of its script, which a bundle of that name would start.
FASTAPI = Application("api", ("fastapi==0.165.0",))
PANDAS = Application("pandas", ("pandas==2.3.3", "numpy==2.2.6"))

CASES = [
    Case("nothing", "do nothing", NOTHING),
    Case("black-version", "black --version", BLACK, ("--version",)),
    Case(
        "black-format",
        "black, one small file",
        BLACK,
        ("--quiet", "-"),
        {"unformatted.py": UNFORMATTED},
        standard_input="unformatted.py",
    ),
    Case(
        "httpie",
        "http --offline GET",
        HTTPIE,
        ("--offline", "--ignore-stdin", "GET", "example.org"),
        # Otherwise it starts a second process now and then, to look for updates.
        {"config/config.json": '{"disable_update_warnings": true}\n'},
        environment={"HTTPIE_CONFIG_DIR": "config"},
    ),
    Case(
        "django",
        "django-admin check",
        DJANGO,
        ("check", "--settings=settings", "--pythonpath=."),
        {"settings.py": SETTINGS},
    ),
    Case("sphinx-version", "sphinx-build --version", SPHINX, ("--version",)),
    Case(
        "sphinx-site",
        "sphinx-build, one page",
        SPHINX,
        ("-q", "-E", "-a", "-b", "html", ".", "_build"),
        {"conf.py": 'project = "small"\nhtml_theme = "basic"\n', "index.rst": PAGE},
    ),
    Case(
        "ansible",
        "ansible-inventory --list",
        ANSIBLE,
        ("--inventory", "localhost,", "--list"),
        environment={"ANSIBLE_HOME": "home"},
    ),
    Case("poetry", "poetry --version", POETRY, ("--version",)),
    Case("fastapi", "fastapi, an application", FASTAPI, ("api.py",), {"api.py": API}),
    Case("pandas", "pandas, a short script", PANDAS, ("frame.py",), {"frame.py": FRAME}),
]

ABLE_CASE = Case("able", "jinja2, one template", ABLE)
"""For the table of what tools can do; not among the others, because it is nobody's application."""
