import datetime
import os

import pytz

print(len(pytz.all_timezones) > 500, len(pytz.common_timezones) > 400, pytz.country_names["de"])
zone = pytz.timezone("America/New_York")
print(zone.localize(datetime.datetime(2024, 7, 1)), pytz.country_timezones["nz"])
with pytz.open_resource("zone.tab") as file:
    print(file.name, file.readline())
print(pytz.resource_exists("Europe/Berlin"), pytz.resource_exists("No/Where"))
print(sorted(os.listdir(os.path.join(os.path.dirname(pytz.__file__), "zoneinfo")))[:5])
try:
    pytz.timezone("No/Where")
except pytz.UnknownTimeZoneError as error:
    print(repr(error))
