"""The house as a whole: its rooms, its contracts, its plugins, its words."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cityloom.app.plugins import KINDS

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
#: Without the packages of clients that others wrote, where they are installed.
TESTS = [
    path
    for path in (ROOT / "tests").rglob("*.py")
    if not {".venv", "node_modules"} & set(path.parts[len(ROOT.parts) :])
]
CATALOGUE = ROOT / "src/cityloom_catalogue"
CONTRACTS = {
    one["id"]: one
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
#: From the sea to the spring.
LAYERS = [room for layer in CONTRACTS["river"]["layers"] for room in layer.split(" | ")]
ROOMS = [room for room in LAYERS if room != "sdk"]
#: What must be in a plugin's folder, by kind.
PARTS = {
    "connectors": [
        "manifest.toml",
        "connector.py",
        "README.md",
        "samples/*/body.*",
        "samples/*/expected.toml",
    ],
    "services": [
        "manifest.toml",
        "service.py",
        "README.md",
        "messages/en.toml",
        "messages/da.toml",
        "cases/*.toml",
    ],
    "assessments": ["manifest.toml", "README.md"],
    "frameworks": ["manifest.toml", "indicators.csv", "groups.csv", "benchmarks.csv", "README.md"],
    "cities": ["manifest.toml", "source.py", "README.md"],
}
PLUGINS = sorted(path.parent for path in CATALOGUE.glob("*/*/manifest.toml"))


def test_each_room_has_its_place_in_the_river():
    folders = {path.parent.name for path in (ROOT / "src/cityloom").glob("*/__init__.py")}
    assert set(ROOMS) == folders
    assert CONTRACTS["river"]["exhaustive"] is True


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for(room):
    said = ast.get_docstring(ast.parse((ROOT / "src/cityloom" / room / "__init__.py").read_text()))
    assert said
    assert len(said.split()) >= 5
    assert said.split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize(
    ("contract", "let_through"),
    [("http", {"web", "adapters", "app"}), ("databases", {"adapters", "app"}), ("plugins", set())],
)
def test_a_contract_covers_every_room_but_those_it_lets_through(contract, let_through):
    told = CONTRACTS[contract]
    listed = told["source_modules"] if contract != "plugins" else told["forbidden_modules"]
    assert {name.removeprefix("cityloom.") for name in listed} == set(ROOMS) - let_through


def test_no_contract_has_a_list_of_exceptions():
    assert [one["id"] for one in CONTRACTS.values() if "ignore_imports" in one] == []


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_plugin_s_folder_is_complete(folder):
    assert folder.parent.name in KINDS
    assert [part for part in PARTS[folder.parent.name] if not any(folder.glob(part))] == []
    assert len((folder / "README.md").read_text().split()) > 60


def test_every_folder_of_the_catalogue_that_looks_like_a_plugin_is_one():
    kinds = [CATALOGUE / kind for kind in PARTS]
    folders = {path for kind in kinds for path in kind.iterdir() if path.is_dir() and path.name[0].isalpha()}
    assert folders == set(PLUGINS)


def test_every_suppression_of_a_check_says_why():
    bare = []
    for path in [*SOURCES, *TESTS, *(ROOT / "benchmarks").rglob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # Read as text on purpose; the pieces keep this file from naming itself.
            noted = re.search("# no" + r"qa(?!: [A-Z0-9, ]+ - \w)", line)
            ignored = re.search("# type: ig" + r"nore(?!\[[a-z-]+\]  # \w)", line)
            if (noted or ignored) and path.name != Path(__file__).name:
                bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert bare == []


def test_the_project_speaks_of_itself_alone():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    strange = re.compile(
        r"(?<![\w.])/(work|tmp|home|root|Users)/|\bissue #?\d|#\d+\b(?=\)| |$)|\bTODO\b|\bFIXME\b"
    )
    found = []
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".html", ".ts", ".service"} and path.exists():
            lines = path.read_text().splitlines() if path.resolve() != Path(__file__).resolve() else []
            found += [
                f"{name}:{number}: {line}" for number, line in enumerate(lines, 1) if strange.search(line)
            ]
    assert found == []


@pytest.mark.parametrize("language", ["en", "da"])
def test_catalogs_of_texts_have_nothing_doubtful(language):
    catalog = (ROOT / f"src/cityloom/web/locale/{language}/LC_MESSAGES/cityloom.po").read_text()
    assert "#, fuzzy" not in catalog
    assert "#~ " not in catalog
    if language == "da":
        body = catalog.partition('"Content-Type')[2]
        assert re.findall(r'^msgstr(?:\[\d\])? ""\n(?!")', body, re.M) == []


def test_every_hook_of_pre_commit_runs_something_that_make_can_make():
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"entry: make (\S+)", config)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert entries
    assert set(entries) <= targets
