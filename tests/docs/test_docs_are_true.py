"""The documentation is run: every command and request in the tutorial, and the reference as it is written."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.reference import pages
from cityloom.kernel import errors
from running_city import COMMAND, RunningCity

ROOT = Path(__file__).parents[2]
DOCS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "src/cityloom_catalogue").rglob("*.md")]
)
TUTORIAL = (ROOT / "docs/start/ten_minutes.md").read_text()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    city = RunningCity(tmp_path_factory.mktemp("docs") / "trial", "up", "--open-access")
    yield city
    city.stop()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.S)


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


def anchors(page):
    """What the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_dependency_is_named_with_its_reason():
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(r'^  "([a-z0-9-]+)[>;]', project.split("[project.scripts]")[0], re.M)
    told = (ROOT / "docs/dependencies.md").read_text()
    assert len(wanted) > 10
    assert [name for name in wanted if name not in told] == []


def test_tutorial_commands_that_make_a_city_run_as_they_stand(tmp_path):
    ran = []
    for line in re.findall(r"^\$ cityloom (init|check) (.*)$", TUTORIAL, re.M):
        words = [line[0], *line[1].split()]
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        ran.append(line[0])
    assert ran == ["init", "check"]


def test_tutorial_requests_do_what_the_text_says(trial):
    answers = []
    for block in blocks("http"):
        head, _, body = block.partition("\n\n")
        first, *headers = head.strip().splitlines()
        method, target = first.split(" ", 1)
        said = dict(line.split(": ", 1) for line in headers)
        answers.append(trial.web.request(method, target, headers=said, content=body.strip() or None))
    assert [answer.status_code for answer in answers] == [201, 200, 200, 204, 200]
    assert answers[1].json()["temperature"] == 1.5
    assert [one["id"] for one in answers[2].json()] == ["urn:ngsi-ld:WeatherObserved:mast"]
    assert remembered(trial, answers[4].request.url) == [1.5, -0.5]


def remembered(trial, url, patience=10):
    """The temperatures, once history has followed the feed."""
    until = time.monotonic() + patience
    while True:
        found = trial.web.get(url).json().get("temperature", {}).get("values", [])
        if len(found) == 2 or time.monotonic() > until:
            return [pair[0] for pair in found]
        time.sleep(0.05)


def test_tutorial_follow_prints_the_way_in_the_terminal(trial):
    trial.web.post(
        "/ngsi-ld/v1/entities",
        json={"id": "urn:ngsi-ld:Mast:2", "type": "Mast", "refDevice": {"object": "urn:ngsi-ld:Device:m2"}},
    )
    words = ["follow", "urn:ngsi-ld:Mast:2", "--home", str(trial.home)]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "How do we know?" in done.stdout
    assert "urn:ngsi-ld:Device:m2" in done.stdout
    as_json = subprocess.run([*COMMAND, *words, "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(as_json.stdout)
