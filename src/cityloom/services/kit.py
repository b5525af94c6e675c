"""What every service's folder must be: checked here, in the tests and by `cityloom plugins check`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable

from cityloom.kernel.errors import CityError
from cityloom.services.cases import Case, complaints, read_cases, world_of
from cityloom.services.facts import AlertRaised
from cityloom.services.plugin import CityService, Plugin, load_service
from cityloom.services.words import placeholders
from cityloom.services.writing import Writer

LANGUAGES = ("en", "da")
HEADINGS = ("What it does", "On what evidence", "Limits", "Whom it tells", "Evaluation")
CASES_WANTED = 5
#: What service.py may import beside Python's own modules.
IMPORTABLE = {"cityloom.sdk", "numpy"}


def check_folder(plugin: Plugin) -> list[str]:
    """All that is wrong with a service's folder, one sentence each; empty when it passes."""
    try:
        service = load_service(plugin)
        cases = read_cases(plugin.folder)
    except CityError as error:
        return [str(error)]
    wrong = [
        *_identity(plugin, service),
        *_readme(plugin),
        *_messages(plugin, service),
        *_settings(service),
        *_imports(plugin),
    ]
    if len(cases) < CASES_WANTED:
        wrong.append(f"cases/: there are {len(cases)}, at least {CASES_WANTED} are wanted")
    for name, case in cases.items():
        wrong += [f"cases/{name}: {item}" for item in check_case(service, case)]
    if not wrong:
        wrong += _unused(service, cases.values())
    return wrong


def check_case(service: CityService, case: Case) -> list[str]:
    """What is wrong with one case's outcome."""
    try:
        world = world_of(service, case)
        facts = list(service.service.decide(world, case.at))
        again = list(service.service.decide(world_of(service, case), case.at))
        Writer(service.manifest, world, case.at, {key: f"urn:{key}" for key in case.open_alerts}).write(facts)
    except CityError as error:
        return [str(error)]
    found = complaints(case.expect, facts)
    if facts != again:
        found.append("decide is not pure: the same world led to other facts")
    return found


def _identity(plugin: Plugin, service: CityService) -> list[str]:
    if service.id == plugin.folder.name:
        return []
    return [f"manifest.toml: its id {service.id!r} is not its folder's name {plugin.folder.name!r}"]


def _readme(plugin: Plugin) -> list[str]:
    path = plugin.folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    headings = set(re.findall(r"^## (.+?)\s*$", text, flags=re.MULTILINE))
    return [f"README.md: there is no heading '## {item}'" for item in HEADINGS if item not in headings]


def _messages(plugin: Plugin, service: CityService) -> list[str]:
    texts = service.messages.texts
    wrong = [f"messages/{language}.toml is missing" for language in LANGUAGES if language not in texts]
    if wrong:
        return wrong
    english = texts["en"]
    for language in LANGUAGES[1:]:
        other = texts[language]
        for key in sorted(english.keys() ^ other.keys()):
            lacks = language if key in english else "en"
            wrong.append(f"messages/{lacks}.toml: there is no text {key!r}")
        wrong += [
            f"messages/{language}.toml: {key!r} uses other {{names}} than in English"
            for key in sorted(english.keys() & other.keys())
            if placeholders(english[key]) != placeholders(other[key])
        ]
    said = _keys_said(plugin)
    wrong += [f"messages/en.toml: there is no text {key!r}" for key in sorted(said - english.keys())]
    return wrong


def _keys_said(plugin: Plugin) -> set[str]:
    """The keys that service.py says outright; those it composes are found by its cases."""
    tree = ast.parse((plugin.folder / "service.py").read_text(encoding="utf-8"))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "say"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def _settings(service: CityService) -> list[str]:
    wrong = []
    for name, setting in service.manifest.settings.items():
        missing = [language for language in LANGUAGES if not setting.help.get(language, "").strip()]
        wrong += [f"manifest.toml: settings.{name}: no help in {language!r}" for language in missing]
        wrong += [
            f"manifest.toml: settings.{name}: the value since {item.since} names no source"
            for item in setting.values
            if not item.source.strip()
        ]
    return wrong


def _imports(plugin: Plugin) -> list[str]:
    """A service is its sdk, numpy and Python: what it cannot import, it cannot do."""
    wrong = []
    for path in sorted(plugin.folder.glob("*.py")):
        if path.name == "evaluate.py":
            # Run by hand by its author, never by the city.
            continue
        wrong += [
            f"{path.name}: imports {name}; a plugin imports {', '.join(sorted(IMPORTABLE))} alone"
            for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
            if not _importable(name, plugin)
        ]
    return wrong


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def _importable(name: str, plugin: Plugin) -> bool:
    top = name.partition(".")[0]
    own = f".services.{plugin.folder.name}"
    return name in IMPORTABLE or top == "numpy" or top in sys.stdlib_module_names or own in f".{name}"


def _unused(service: CityService, cases: Iterable[Case]) -> list[str]:
    """What a service declares and no case shows it using: it should ask for no more than it needs."""
    looked: set[tuple[str, str]] = set()
    raised: set[str] = set()
    for case in cases:
        world = world_of(service, case)
        facts = list(service.service.decide(world, case.at))
        looked |= world.looked_at
        raised |= {f"{fact.category}/{fact.sub_category}" for fact in facts if isinstance(fact, AlertRaised)}
    declared = [(need.name, name) for need in service.manifest.needs for name in need.attributes]
    return [
        f"manifest.toml: needs.{window}: {name!r} is looked at in no case; ask for no more than is needed"
        for window, name in declared
        if (window, name) not in looked
    ] + [
        f"manifest.toml: alerts: {name!r} is raised in no case"
        for name in service.manifest.alerts
        if name not in raised
    ]
