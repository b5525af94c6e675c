"""What holds for every page: the reference is that of the code, links lead somewhere, names have reasons."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from cityloom.app.folder import CityFolder
from cityloom.app.reference import pages
from cityloom.kernel import errors

ROOT = Path(__file__).parents[2]
DOCS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "src/cityloom_catalogue").rglob("*.md")]
)


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_is_what_the_code_says(name):
    assert (ROOT / "docs/reference" / name).read_text() == pages()[name], "run `make docs`"


def test_reference_has_a_line_for_each_error():
    said = (ROOT / "docs/reference/errors.md").read_text()
    assert all(f"| {name} |" in said for name in ("BadInput", "StorageFull", "BrokenPlugin"))
    assert errors.CityError.__name__ not in said


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", path.read_text()):
        if "://" in target:
            continue
        page = path.parent / target if target else path
        assert page.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(page), f"{path.name} links to {target}#{anchor}"


def test_every_page_is_reached_from_the_first_one():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
            waiting += [(page.parent / one).resolve() for one in links if "://" not in one]
    lost = [str(one.relative_to(ROOT)) for one in (ROOT / "docs").rglob("*.md") if one not in seen]
    assert lost == []


def anchors(page):
    """What the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_dependency_is_named_with_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    clients = tomllib.loads((ROOT / "tests/clients/pyproject.toml").read_text())["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"].values()
    groups = [project["project"]["dependencies"], *extras, *project["dependency-groups"].values(), clients]
    wanted = {re.match(r"[a-z0-9-]+", one)[0] for group in groups for one in group}
    browser = json.loads((ROOT / "web/package.json").read_text())
    wanted |= browser["dependencies"].keys() | browser["devDependencies"].keys()
    wanted |= json.loads((ROOT / "tests/clients/package.json").read_text())["dependencies"].keys()
    rows = re.findall(r"^\| ([a-z0-9, -]+) \| ", (ROOT / "docs/dependencies.md").read_text(), re.M)
    told = {name for row in rows for name in row.split(", ")} - {"package", "---"}
    assert told == wanted


def test_architecture_names_every_file_of_a_city():
    home = CityFolder(Path("home"))
    paths = {getattr(home, name).name for name, one in vars(CityFolder).items() if isinstance(one, property)}
    table = (ROOT / "docs/architecture.md").read_text().partition("| file | content |")[2]
    told = set(re.findall(r"`([\w.]+)/?`", "".join(re.findall(r"^\| (.*?) \| ", table, re.M))))
    assert told == paths | {"lock", "history.hold"}
