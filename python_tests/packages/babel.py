import datetime

from babel import Locale, dates, localedata, numbers, units
from babel.messages import frontend  # noqa: F401
from babel.support import Format

when = datetime.datetime(2024, 3, 31, 12, 30, tzinfo=datetime.timezone.utc)
for name in "de", "ja_JP", "ar_EG", "pt_BR":
    print(
        name,
        dates.format_datetime(when, "full", locale=name, tzinfo=dates.get_timezone("Asia/Tokyo")),
        numbers.format_currency(1234567.5, "EUR", locale=name),
        units.format_unit(3, "length-meter", locale=name),
        Locale.parse(name).get_display_name("fr"),
    )
print(len(localedata.locale_identifiers()), localedata.exists("xx"), Locale("cs").plural_form(3))
print(Format("sv").timedelta(datetime.timedelta(days=40)))
