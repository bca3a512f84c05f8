"""Says what the weather usually is like."""

import csv
import sys
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

# A folder beside the module, as many programs look for their files.
TEMPLATES = Path(__file__).parent / "templates"


def main() -> int:
    """Print the report for the city that the command line names."""
    if len(sys.argv) != 2:
        print("usage: weather-report CITY", file=sys.stderr)
        return 2
    with resources.files(__name__).joinpath("cities.csv").open(encoding="utf-8") as file:
        cities = {row["name"]: row for row in csv.DictReader(file)}
    city = cities.get(sys.argv[1])
    if city is None:
        print(f"{sys.argv[1]} is unknown; there are: {', '.join(cities)}", file=sys.stderr)
        return 1
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=False)
    print(environment.get_template("report.txt").render(city))
    return 0
