"""Prints which module is where, as the text of an editable installation's hook says, as JSON.

setuptools assigns dictionaries of literals to `MAPPING` and `NAMESPACES`; hooks of `editables` call
`map_module` with two strings, those of scikit-build-core `install` with a dictionary. The
hook itself is parsed, never executed.
"""

import ast
import json
import os
import sys


def places_in(node):
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(t, ast.Name) and t.id in {"MAPPING", "NAMESPACES"} for t in targets):
            for module, places in ast.literal_eval(node.value).items():
                # A namespace may be listed with places that do not exist.
                is_list = not isinstance(places, str)
                yield module, [p for p in places if os.path.isdir(p)] if is_list else [places]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function, arguments = node.value.func, node.value.args
        takes_dictionary = bool(arguments) and isinstance(arguments[0], ast.Dict)
        if isinstance(function, ast.Attribute) and function.attr == "map_module":
            module, place = map(ast.literal_eval, arguments)
            yield module, [place]
        # Others call a function of that name with something else.
        elif getattr(function, "id", "") == "install" and takes_dictionary:
            yield from ((m, [p]) for m, p in ast.literal_eval(arguments[0]).items())


with open(sys.argv[1], "rb") as file:
    tree = ast.parse(file.read())
found = {}
for node in tree.body:
    for module, places in places_in(node):
        kept = found.setdefault(module, [])
        kept += [place for place in places if place not in kept]
print(json.dumps(found))
