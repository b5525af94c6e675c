"""Which pages there are, and how one is looked at: by axe-core, and for what stands out at its side."""

from __future__ import annotations

from pathlib import Path

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
#: WCAG 2.2 at levels A and AA, and what axe-core calls best practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
STATION = "urn:ngsi-ld:WeatherObserved:loomby:merino"
ALERT = "urn:ngsi-ld:Alert:test"
INITIATIVE = "urn:ngsi-ld:Initiative:loomby-clean-air-on-ring-1"
ANALYSIS = "urn:ngsi-ld:CostBenefitAnalysis:loomby-worth-it"
NETWORK = "urn:ngsi-ld:NetworkBusinessModel:loomby-fibre"
#: An indicator that is entered by hand.
BY_HAND = "/indicators/u4ssc/EC:ICT:ICT:1C"

FOR_EVERYBODY = (
    "/",
    "/?view=operator",
    "/?view=planner",
    "/map",
    "/entities",
    "/entities?type=WeatherObserved",
    f"/entities/{STATION}",
    f"/follow/{STATION}",
    "/alerts",
    f"/alerts/{ALERT}",
    "/warnings",
    "/indicators",
    "/indicators/u4ssc?q=water",
    "/indicators/city/S2",
    "/indicators/u4ssc/factsheet",
    "/indicators/u4ssc/verification",
    "/initiatives",
    f"/initiatives/{INITIATIVE}",
    "/plan",
    "/plan/phases/3",
    "/plan/monitoring",
    "/plan/goal-tree",
    "/plan/dependencies?stops=urn:ngsi-ld:InfrastructureItem:loomby-data-centre",
    "/plan/state-of-infrastructure",
    "/plan/baselines",
    "/plan/versions",
    "/plan/stage/urn:ngsi-ld:CityStage:loomby-stage",
    "/plan/vision/urn:ngsi-ld:CityVision:loomby-vision",
    "/plan/action",
    "/plan/action/timeline",
    "/plan/action/budget",
    "/plan/action/ranking",
    "/plan/action/funding?amount=100&currency=DKK&share_taxes=100&arrangement=vehicle&years=2",
    f"/plan/cost-benefit/{ANALYSIS}",
    f"/plan/network-models/{NETWORK}",
    "/plan/contracts",
    "/plan/assessments/three_drivers",
    "/library/smart_cities_52?area=energy",
    "/notices",
    "/consultations",
    "/plan/stakeholders",
    "/report",
    "/reports",
    "/open-data",
    "/sign-in",
    "/language",
    "/about",
    "/nowhere",
)
#: What somebody sees besides, or sees otherwise.
BY_ROLE = {
    "citizen": ("/", "/warnings", "/account", "/password"),
    "engineer": ("/", "/devices", "/devices/new", "/parked"),
    "operator": ("/", "/map?q=merino", "/alerts/new", f"/alerts/{ALERT}", "/notices/new", "/reports"),
    "planner": (
        "/",
        "/plan",
        "/plan/phases/3",
        "/plan/unpublished",
        "/plan/import",
        "/plan/baselines",
        "/plan/changes/urn:ngsi-ld:PlanChange:loomby-streets-first",
        "/plan/goals/new",
        "/initiatives/new",
        "/plan/cost-benefit/new",
        "/plan/stakeholders/diagrams/grid",
        "/plan/stakeholders/diagrams/map",
        "/plan/contracts/new",
        "/plan/assessments/secure_places/answer",
        f"/initiatives/{INITIATIVE}/edit",
        *(f"/initiatives/{INITIATIVE}/edit/{step}" for step in ("course", "costs", "funding", "checks")),
        "/indicators/u4ssc/EC:ICT:ICT:1C",
    ),
    "auditor": ("/", "/indicators/city/S2", "/system", "/other-systems"),
    "security_operator": ("/", "/warnings"),
    "administrator": ("/", "/accounts", "/other-systems", "/services", f"/initiatives/{INITIATIVE}"),
}
#: Rules that can find something else in a narrow window, other colours or another language.
LAYOUT_RULES = ["color-contrast", "target-size", "scrollable-region-focusable"]


#: Of rows that are alike in all but their words, addresses and names axe-core looks at the first two: it
#: takes milliseconds for each element, and long lists have thousands. Ids are compared on the whole page.
THINNED = """() => {
    const own = new Set(['href', 'id', 'for', 'name', 'value', 'title', 'datetime', 'src', 'd', 'points', 'x',
        'y', 'cx', 'cy', 'x1', 'x2', 'y1', 'y2', 'width', 'height', 'transform', 'data-item', 'aria-label',
        'aria-labelledby', 'aria-describedby', 'aria-controls']);
    const said = ({name, value}) => name + (own.has(name) && value ? '' : '=' + value);
    const words = element => [...element.childNodes].some(one => one.nodeType === 3 && one.data.trim());
    const shape = element => element.tagName + [...element.attributes].map(said).join()
        + (words(element) ? 't' : '') + '(' + [...element.children].map(shape).join() + ')';
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    const alike = new Map();
    const rows = 'tbody > tr, ul > li, ol > li, dl > div, select > option, svg > *, svg g > *';
    const found = [...document.querySelectorAll(rows), ...document.querySelectorAll('section')];
    for (const row of found) {
        const of = alike.get(row.parentElement) || new Map();
        alike.set(row.parentElement, of);
        const form = shape(row), known = of.get(form) || 0;
        of.set(form, known + 1);
        if (known >= 2 && !row.contains(document.activeElement)) row.remove();
    }
    return ids.filter((id, place) => ids.indexOf(id) !== place);
}"""


def look_with_axe(context) -> None:
    """Have axe-core in every page of these windows: handing it to each anew costs more than the page."""
    context.add_init_script(path=AXE)


def violations(page, *, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds wrong with the page as it stands; long lists are shorter afterwards."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    twice = page.evaluate(THINNED)
    chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": RULES}
    # Whose style sheets these are is known: they need not be fetched again.
    options = {"runOnly": chosen, "resultTypes": ["violations"], "preload": False}
    found = page.evaluate("options => axe.run(document, options)", options)
    assert found["passes"], "axe-core looked at nothing"
    told = [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found["violations"]]
    return [*told, *(f"two elements are called {one}" for one in twice)]


def overflow(page) -> int:
    """Pixels by which the page is wider than its window; right-to-left pages overflow to the left."""
    return page.evaluate(
        "(() => { const d = document.documentElement; return d.scrollWidth - d.clientWidth; })()"
    )
