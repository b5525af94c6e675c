"""The kit says what is wrong with a service's folder; a new one has nothing wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.app.plugins import find_plugins
from cityloom.indicators.framework import read_framework
from cityloom.kernel.errors import BadInput, BrokenPlugin, Conflict
from cityloom.sensing.kit import check_connector, read_samples
from cityloom.sensing.models import read_models
from cityloom.services.kit import check_folder
from cityloom.services.plugin import load_service, read_parameters
from cityloom.services.scaffold import KINDS, write_plugin


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A package for plugins of a city's own, with a name that no other test uses."""
    name = f"own_{abs(hash(request.node.nodeid))}"
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / name
    for module in [item for item in sys.modules if item.startswith(name)]:
        del sys.modules[module]


@pytest.fixture
def folder(package):
    return write_plugin("service", "heat_watch", package)


def complaints(package) -> list[str]:
    (plugin,) = find_plugins([package.name])
    return check_folder(plugin)


def change(path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_new_service_passes_as_it_is(package, folder):
    assert complaints(package) == []
    assert folder == package / "services" / "heat_watch"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("README.md", "## Limits", "## Other", "no heading '## Limits'"),
        ("messages/da.toml", "hot =", "heiss =", "messages/da.toml: there is no text 'hot'"),
        ("messages/da.toml", "{place}", "stedet", "uses other {names}"),
        ("messages/en.toml", "{place}", "{places}", "uses other {names}"),
        ("messages/en.toml", 'summary = "', 'sum = "', "no 'summary'"),
        (
            "manifest.toml",
            ', da = "Fra denne temperatur varsles operatørerne"',
            "",
            "settings.limit_c: no help in 'da'",
        ),
        ("manifest.toml", "An example; name the decision or the norm", " ", "names no source"),
        (
            "manifest.toml",
            '"name", "temperature"',
            '"name", "temperature", "windSpeed"',
            "looked at in no case",
        ),
        (
            "manifest.toml",
            '["weather/heat"]',
            '["weather/heat", "weather/cold"]',
            "'weather/cold' is raised in no case",
        ),
        (
            "manifest.toml",
            '["weather/heat"]',
            '["weather/cold"]',
            "raises weather/heat, which it does not declare",
        ),
        ("manifest.toml", 'tells = ["operators"]', "", "tells 'operators', whom it does not declare"),
        (
            "manifest.toml",
            '"name", "temperature"',
            '"temperature"',
            "looked at 'name', which it does not declare",
        ),
        ("manifest.toml", 'every = "PT10M"', "", "Nothing wakes it"),
        ("service.py", "import numpy as np", "import numpy as np\nimport shapely", "imports shapely"),
        (
            "service.py",
            "import numpy as np",
            "import numpy as np\nimport cityloom.context.broker",
            "imports cityloom",
        ),
        ("service.py", "def decide", "def decides", "no function decide"),
        (
            "service.py",
            "def _name",
            "def train(world, at):\n    return None\n\n\ndef _name",
            "belong together",
        ),
        (
            "service.py",
            "import numpy as np",
            "import numpy as np\n\n1 / 0",
            "cannot be loaded: division by zero",
        ),
        ("service.py", 'world.say("hot"', 'world.say("very_hot"', "no text 'very_hot'"),
        ("service.py", "key=station,", "key=f'{station}{id(world)}',", "decide is not pure"),
        (
            "cases/hot.toml",
            "steady = 31.0",
            "steady = 21.0",
            "expected alert 'urn:ngsi-ld:WeatherObserved:market', not said",
        ),
        ("cases/mild.toml", "steady = 29.9", "steady = 30.0", "unexpected alert"),
        ("cases/hot.toml", 'severity = "medium"', 'severity = "low"', "severity 'medium' instead of 'low'"),
        ("cases/hot.toml", "at Market", "at Plaza", "does not say"),
        ("cases/cooled.toml", "27.0 °C", "26.0 °C", "ends with"),
        ("cases/hot.toml", "12:00:00Z", "12:00:00", "no time zone"),
        ("cases/hot.toml", 'name = "Market"', "windSpeed = 3", "which does not declare it"),
        ("cases/hot.toml", 'window = "stations"', 'window = "cars"', "looked at 'cars'"),
        ("cases/hot.toml", "[[expect.alerts]]", "[[expect.alarms]]", "The case cannot be read"),
    ],
)
def test_check_folder_names_what_is_wrong(package, folder, file, old, new, said):
    change(folder / file, old, new)
    found = complaints(package)
    assert any(said in item for item in found), found


def test_check_folder_wants_five_cases(package, folder):
    (folder / "cases" / "gaps.toml").unlink()
    assert complaints(package) == ["cases/: there are 4, at least 5 are wanted"]


def test_check_folder_wants_both_languages(package, folder):
    (folder / "messages" / "da.toml").unlink()
    assert complaints(package) == ["messages/da.toml is missing"]


def test_check_folder_wants_messages(package, folder):
    for path in (folder / "messages").iterdir():
        path.unlink()
    assert "There are no messages" in complaints(package)[0]


def test_load_service_reads_shipped_parameters(package, folder):
    (folder / "parameters.toml").write_text(
        '[provenance]\nsource = "elsewhere"\n[arrays]\nslope = [[1, 2.5]]\n'
    )
    (plugin,) = find_plugins([package.name])
    shipped = load_service(plugin).shipped
    assert shipped.provenance == {"source": "elsewhere"}
    assert shipped.arrays["slope"].tolist() == [[1.0, 2.5]]


@pytest.mark.parametrize(
    "text",
    [
        "[arrays]\nslope = [1]\n",
        "[provenance]\n[arrays]\nslope = [[1], [1, 2]]\n",
        "slope = ",
        "[provenance]\n",
    ],
)
def test_read_parameters_says_what_is_wrong(tmp_path, text):
    path = tmp_path / "parameters.toml"
    path.write_text(text)
    with pytest.raises(BrokenPlugin, match="parameters cannot be read"):
        read_parameters(path)


@pytest.mark.parametrize(
    "name", ["", "Heat", "2fast", "heat-watch", "../etc", "class", "x" * 41, "heat watch", "é"]
)
def test_write_plugin_refuses_a_name_that_is_none(package, name):
    with pytest.raises(BadInput, match="cannot be the name"):
        write_plugin("service", name, package)
    assert list(package.iterdir()) == []


def test_write_plugin_refuses_a_kind_that_is_none(package):
    with pytest.raises(BadInput, match="Kinds are: service"):
        write_plugin("model", "heat", package)


def test_write_plugin_does_not_overwrite(package, folder):
    change(folder / "service.py", "mean >= limit", "mean > limit")
    with pytest.raises(Conflict):
        write_plugin("service", "heat_watch", package)
    assert "mean > limit" in (folder / "service.py").read_text()


def test_write_plugin_takes_the_folder_of_the_kind_too(package):
    assert write_plugin("service", "heat", package / "services") == package / "services" / "heat"


def test_write_plugin_says_so_when_the_folder_cannot_be_written(package):
    (package / "services").write_text("a file where a folder should be")
    with pytest.raises(BadInput, match="cannot be written"):
        write_plugin("service", "heat", package)


def test_a_new_connector_passes_as_it_is(package):
    write_plugin("connector", "own_weather", package)
    (plugin,) = find_plugins([package.name])
    models = read_models([Path(cityloom_catalogue.__path__[0]) / "models"])
    assert check_connector(plugin.folder, plugin.manifest, plugin.load("connector"), models) == []
    assert sorted(read_samples(plugin.folder)) == ["not_a_number", "reading"]


def test_a_new_framework_is_whole(package):
    framework = read_framework(write_plugin("framework", "own_figures", package))
    ((indicator, point),) = framework.points()
    assert indicator.code == "X1"
    assert framework.measure_of(point) is not None


def test_every_kind_has_a_blueprint(package):
    for kind in KINDS:
        folder = write_plugin(kind, "own_one", package)
        assert (folder / "manifest.toml").exists(), kind
        assert (folder / "README.md").exists(), kind
        assert "@" + "NAME@" not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
