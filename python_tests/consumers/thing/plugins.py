"""Plugins by entry points."""


class Upper:
    """Turn text to capitals."""

    def transform(self, text):
        """Transform."""
        return text.upper()


class Reversed:
    """Turn text round."""

    def transform(self, text):
        """Transform."""
        return text[::-1]


def main():
    """Use all plugins."""
    from stevedore import driver, extension, named

    manager = extension.ExtensionManager("thing.transform", invoke_on_load=True)
    for plugin in sorted(manager, key=lambda plugin: plugin.name):
        print(plugin.name, plugin.entry_point.value, plugin.obj.transform("text"))
    upper = driver.DriverManager("thing.transform", "upper", invoke_on_load=True)
    print(upper.driver, upper.extensions[0].module_name)
    some = named.NamedExtensionManager(
        "thing.transform",
        ["reversed", "missing"],
        name_order=True,
        warn_on_missing_entrypoint=False,
    )
    print(some.names())


if __name__ == "__main__":
    main()
