"""What is asked often at a terminal does not load what a city runs with."""

import subprocess
import sys

import pytest

HEAVY = (
    "apsw",
    "babel",
    "cityloom.app.house",
    "cryptography",
    "duckdb",
    "httpx2",
    "jinja2",
    "jsonschema_rs",
    "numpy",
    "opentelemetry",
    "pint",
    "prometheus_client",
    "pyld",
    "shapely",
    "starlette",
    "uvicorn",
)
SCRIPT = """
import sys
from cityloom.app.command_line import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("LOADED", *sys.modules)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["doctor", "--help"], ["doctor", "--home", "/nowhere/at/all"]]
)
def test_a_light_command_loads_nothing_heavy(words):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert [name for name in HEAVY if name in loaded] == []


def test_a_city_does_not_load_the_libraries_of_what_nobody_has_asked_for():
    script = "import sys, cityloom.app.running; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert "cityloom.app.house" in loaded
    assert [
        name
        for name in (
            "prometheus_client",
            "opentelemetry",
            "google.protobuf",
            "pint",
            "weasyprint",
            "xlsxwriter",
        )
        if name in loaded
    ] == []
