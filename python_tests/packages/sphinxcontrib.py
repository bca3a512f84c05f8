"""Read a namespace package with the standard library and with the backport."""

import importlib.resources

import importlib_resources

for reads in importlib.resources, importlib_resources:
    files = reads.files("sphinxcontrib")
    print(type(files).__name__, sorted(child.name for child in files.iterdir()))
    for name in "applehelp", "htmlhelp", "missing":
        child = files / name
        print(child.name, child.is_dir(), (child / "__init__.py").is_file())
    catalog = files.joinpath("applehelp").joinpath("locales").joinpath("fr")
    for place in catalog.joinpath("LC_MESSAGES").iterdir():
        print(place.name, len(place.read_bytes()))
    with reads.as_file(files.joinpath("applehelp") / "templates") as templates:
        print(sorted(path.name for path in templates.iterdir()))
