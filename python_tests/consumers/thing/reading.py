"""Packages that read data of their own or of others."""

import datetime
import ssl
import sys
import zoneinfo

import babel.dates
import certifi
import jinja2


def main():
    """Read templates, time zones, locales and certificates."""
    print(sys.path[-1] and zoneinfo.TZPATH, len(zoneinfo.available_timezones()) > 500)
    moment = datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    print(moment, moment.dst(), moment.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo")))
    print(babel.dates.format_datetime(moment, locale="de"))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("filed"))
    print(environment.list_templates())
    print(environment.get_template("hello.txt").render(name="you", place="here"))
    context = ssl.create_default_context(cafile=certifi.where())
    print(certifi.where(), context.cert_store_stats() == ssl_statistics())
    environment.get_template("hello.txt").render(name="you")


def ssl_statistics():
    """Load the same certificates as text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certifi.contents())
    return context.cert_store_stats()


if __name__ == "__main__":
    main()
