"""What a module and its spec show."""


def show(module):
    spec = module.__spec__
    print(
        module.__name__,
        module.__package__,
        getattr(module, "__file__", "no file"),
        list(getattr(module, "__path__", ["no path"])),
        module.__doc__,
    )
    print(
        spec.name,
        spec.parent,
        spec.origin,
        spec.has_location,
        spec.submodule_search_locations and list(spec.submodule_search_locations),
        spec.loader is module.__loader__,
        spec.loader_state,
        hasattr(module, "__cached__"),
    )
    names = sorted(n for n in vars(module) if n != "__builtins__")
    print(names, vars(module).get("__annotations__"), type(module).__name__)
