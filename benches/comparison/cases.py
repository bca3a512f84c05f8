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


@dataclass(frozen=True)
class Application:
    """Something to install, pinned; resolved once, for the environment and the bundle alike."""

    name: str
    requirements: tuple[str, ...] = ()
    script: str | None = None
    """Console script that starts it; without one the bundle acts as Python."""


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


NOTHING = Application("nothing", script="nothing")
"""An installed function that returns at once: a wheel for the environment, a source folder for
the bundle, both made by ``preparation.py``."""
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
