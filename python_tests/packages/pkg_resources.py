import warnings

import babel

warnings.simplefilter("ignore")
import pkg_resources  # noqa: E402

print(pkg_resources.resource_filename("babel", "global.dat"))
print(
    pkg_resources.resource_exists("babel", "no_such"),
    pkg_resources.resource_isdir("babel", "locale-data"),
)
print(sorted(pkg_resources.resource_listdir("babel", "locale-data"))[:3])
print(len(pkg_resources.resource_string("babel", "locale-data/de.dat")) > 1000, babel.__file__)
print(
    pkg_resources.get_distribution("sphinx").version,
    sorted(e.name for e in pkg_resources.iter_entry_points("sphinx.html_themes")),
)
print(
    pkg_resources.resource_stream("babel", "global.dat").read(1), pkg_resources.require("furo")[0]
)
