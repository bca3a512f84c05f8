import gettext
import os

import pycountry

print(pycountry.countries.get(alpha_2="DE"), len(pycountry.languages), len(pycountry.subdivisions))
print(pycountry.countries.search_fuzzy("Englan")[0].name, pycountry.currencies.get(numeric="978"))
for language in "de", "ja":
    translation = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language])
    print(translation.gettext("Germany"), translation.info()["language"])
print(
    gettext.find("iso3166-1", pycountry.LOCALES_DIR, ["xx"]), os.path.isdir(pycountry.LOCALES_DIR)
)
print(len(os.listdir(pycountry.DATABASE_DIR)), pycountry.DATABASE_DIR)
