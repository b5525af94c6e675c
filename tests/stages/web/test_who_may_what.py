"""The table of rights: every address of the city, and who may do what it does.

An address that is new fails until it stands here. "Refused" is 401, 403, being sent to sign in, and 404 for
what one may not see.
"""

from __future__ import annotations

import re
from datetime import date

import msgspec
import pytest
from starlette.routing import Mount

from cityloom.access.authority import TERMINAL
from cityloom.access.roles import ROLES
from cityloom.federation.handing_on import NOTIFIED_AT
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import entity, json_value, point, prop, rel
from cityloom.planning.assessments.evaluating import Answer, evaluated
from cityloom.planning.assessments.model import Given
from cityloom.planning.contracts.terms import Line, Terms
from cityloom.sensing.model import Device, Profile
from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.ogc.routes import RESOURCES
from cityloom.web.sensorthings.model import SETS

#: In the order of the table's letters. `device` shows a device's token, all others sign in.
WHO = (
    "visitor",
    "citizen",
    "engineer",
    "operator",
    "planner",
    "auditor",
    "security_operator",
    "administrator",
    "device",
)
LETTERS = "vceopasmd"
ALL = LETTERS
#: Everybody whose token is one of people: a device's token opens no page.
PEOPLE = "vceopasm"
SIGNED_IN = "ceopasm"
STAFF = "eopasm"

THING, SECRET = "urn:ngsi-ld:Thing:open", "urn:ngsi-ld:Thing:secret"
INSIDE = "urn:ngsi-ld:Thing:internal"
ALERT, NOTICE, REPORT = "urn:ngsi-ld:Alert:1", "urn:ngsi-ld:Notice:1", "urn:ngsi-ld:CitizenReport:1"
INITIATIVE = "urn:ngsi-ld:Initiative:1"
GOAL = "urn:ngsi-ld:Goal:1"
CONSULTATION = "urn:ngsi-ld:Consultation:1"
CONTRIBUTION = "urn:ngsi-ld:ConsultationContribution:1"
ASSESSMENT = "urn:ngsi-ld:Assessment:draft-1"
CONTRACT, PARTY = "urn:ngsi-ld:ServiceContract:draft-1", "urn:ngsi-ld:ContractParty:1"
ANALYSIS = "urn:ngsi-ld:CostBenefitAnalysis:1"
BASELINE, VERSION = "urn:ngsi-ld:PlanBaseline:1", "urn:ngsi-ld:PlanVersion:1"
DEVICE, OTHER_DEVICE = "d1", "d2"
#: An indicator that is entered by hand.
CODE = "EC:ICT:ICT:1C"
POINT = f"urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:{CODE}"

#: Method and route, the address tried where it differs, what a form sends; then who may.
PAGES: dict[str, str] = {
    "GET /healthz": ALL,
    "GET /readyz": ALL,
    "GET /static/{name:path}": ALL,
    "GET /openapi.json": ALL,
    "POST /hooks/{connector}": "d",
    "GET /loads": "em",
    "POST /loads/begin": "em",
    # Whoever owns the city's folder is none of these.
    "POST /loads/bring": "",
    "POST /loads/export": "",
    # An edge of the city has an account, and a grant in city.toml; nobody here has one.
    "POST /edge/changes": "",
    "POST /persons/look": "m",
    "GET /persons": "m",
    "POST /persons act=look": "m",
    "GET /language": PEOPLE,
    "POST /language": PEOPLE,
    "POST /theme": PEOPLE,
    "POST /pace": "eosm",
    "GET /clock.json": PEOPLE,
    "GET /sign-in": PEOPLE,
    "POST /sign-in": PEOPLE,
    "POST /sign-out": PEOPLE,
    "GET /password": SIGNED_IN,
    "POST /password": SIGNED_IN,
    "GET /live": PEOPLE,
    "GET /": PEOPLE,
    "GET /home.json": PEOPLE,
    "GET /map.json": PEOPLE,
    "GET /map": PEOPLE,
    "GET /map/roads.json": PEOPLE,
    "GET /entities.json": PEOPLE,
    "GET /entities": PEOPLE,
    f"GET /entities/{THING}.csv": PEOPLE,
    f"GET /entities/{THING}.geojson": PEOPLE,
    f"GET /entities/{THING}.json": PEOPLE,
    f"GET /entities/{THING}": PEOPLE,
    f"GET /entities/{INSIDE}.csv": STAFF,
    f"GET /entities/{INSIDE}.geojson": STAFF,
    f"GET /entities/{INSIDE}.json": STAFF,
    f"GET /entities/{INSIDE}": STAFF,
    f"GET /entities/{SECRET}.csv": "sm",
    f"GET /entities/{SECRET}.geojson": "sm",
    f"GET /entities/{SECRET}.json": "sm",
    f"GET /entities/{SECRET}": "sm",
    f"GET /follow/{THING}.json": PEOPLE,
    f"GET /follow/{THING}": PEOPLE,
    f"GET /follow/{SECRET}.json": "sm",
    f"GET /follow/{SECRET}": "sm",
    "GET /alerts.json": PEOPLE,
    "GET /alerts": PEOPLE,
    "GET /alerts/new": "osm",
    "POST /alerts/new": "osm",
    f"GET /alerts/{ALERT}.json": PEOPLE,
    f"GET /alerts/{ALERT}": PEOPLE,
    f"POST /alerts/{ALERT}": "osm",
    "GET /warnings.json": PEOPLE,
    "GET /warnings": PEOPLE,
    "POST /warnings/code": PEOPLE,
    # Nobody here is the recipient; those who handle alerts are told that there is no such delivery.
    f"POST /warnings/{THING}": "",
    "GET /notices.json": PEOPLE,
    "GET /notices": PEOPLE,
    "GET /notices/new": "om",
    "POST /notices/new": "om",
    f"GET /notices/{NOTICE}/edit": "om",
    f"POST /notices/{NOTICE}/edit": "om",
    f"GET /notices/{NOTICE}.json": PEOPLE,
    f"GET /notices/{NOTICE}": PEOPLE,
    f"POST /notices/{NOTICE}": "om",
    "GET /report": PEOPLE,
    "POST /report": PEOPLE,
    "GET /report/map.svg": PEOPLE,
    "POST /report/code": PEOPLE,
    # Whoever has the code is the author; nobody here has one.
    "GET /report/wrong-code-1/photo": "",
    "GET /report/wrong-code-1/my-data.zip": "",
    "GET /report/wrong-code-1.json": "",
    "GET /report/wrong-code-1": "",
    "POST /report/wrong-code-1": "",
    "GET /reports.json": PEOPLE,
    "GET /reports": PEOPLE,
    f"GET /reports/{REPORT}/photo": STAFF,
    f"GET /reports/{REPORT}.json": STAFF,
    f"GET /reports/{REPORT}": STAFF,
    f"POST /reports/{REPORT}": "om",
    "GET /indicators.json": PEOPLE,
    "GET /indicators": PEOPLE,
    "GET /indicators/u4ssc/index.json": PEOPLE,
    "GET /indicators/u4ssc/index.pdf": PEOPLE,
    "GET /indicators/u4ssc/index": PEOPLE,
    "GET /indicators/u4ssc/index.csv": PEOPLE,
    "POST /indicators/u4ssc/index": "pm",
    "GET /indicators/u4ssc/targets.json": PEOPLE,
    "GET /indicators/u4ssc/targets.pdf": PEOPLE,
    "GET /indicators/u4ssc/targets": PEOPLE,
    "GET /indicators/u4ssc/targets.csv": PEOPLE,
    "POST /indicators/u4ssc/targets": "pm",
    "GET /indicators/u4ssc/verification.json": PEOPLE,
    "GET /indicators/u4ssc/verification.pdf": PEOPLE,
    "GET /indicators/u4ssc/verification": PEOPLE,
    "GET /indicators/u4ssc/verification.csv": PEOPLE,
    "POST /indicators/u4ssc/verification": "am",
    # There is no such version.
    "GET /indicators/u4ssc/verification/999.json": "",
    "GET /indicators/u4ssc/verification/999.pdf": "",
    "GET /indicators/u4ssc/verification/999": "",
    "GET /indicators/u4ssc/verification/999.csv": "",
    "GET /indicators/u4ssc/factsheet.json": PEOPLE,
    "GET /indicators/u4ssc/factsheet.pdf": PEOPLE,
    "GET /indicators/u4ssc/factsheet": PEOPLE,
    "GET /indicators/u4ssc/CODE/effect.json": PEOPLE,
    "GET /indicators/u4ssc/CODE/effect.pdf": PEOPLE,
    "GET /indicators/u4ssc/CODE/effect": PEOPLE,
    "GET /indicators/u4ssc/CODE/effect.csv": PEOPLE,
    "GET /indicators/u4ssc/verify.json": "am",
    "GET /indicators/u4ssc/verify": "am",
    "POST /indicators/u4ssc/verify": "am",
    "GET /indicators/u4ssc/sheet.csv": "pm",
    "GET /indicators/u4ssc/sheet": "pm",
    "POST /indicators/u4ssc/sheet": "pm",
    "GET /indicators/u4ssc/compare.json": PEOPLE,
    "GET /indicators/u4ssc/compare.pdf": PEOPLE,
    "GET /indicators/u4ssc/compare": PEOPLE,
    "GET /indicators/u4ssc/compare.csv": PEOPLE,
    "POST /indicators/u4ssc/compare": "pm",
    "GET /indicators/sdg.json": PEOPLE,
    "GET /indicators/sdg.pdf": PEOPLE,
    "GET /indicators/sdg": PEOPLE,
    "GET /indicators/sdg.csv": PEOPLE,
    "GET /indicators/sdg/11.json": PEOPLE,
    "GET /indicators/sdg/11.pdf": PEOPLE,
    "GET /indicators/sdg/11": PEOPLE,
    "GET /indicators/cross-references.json": PEOPLE,
    "GET /indicators/cross-references.pdf": PEOPLE,
    "GET /indicators/cross-references": PEOPLE,
    "GET /indicators/cross-references.csv": PEOPLE,
    "GET /indicators/years.json": PEOPLE,
    "GET /indicators/years.pdf": PEOPLE,
    "GET /indicators/years": PEOPLE,
    "GET /indicators/years.csv": PEOPLE,
    "GET /indicators/u4ssc/principles.json": PEOPLE,
    "GET /indicators/u4ssc/principles.pdf": PEOPLE,
    "GET /indicators/u4ssc/principles": PEOPLE,
    "GET /indicators/u4ssc/principles.csv": PEOPLE,
    "POST /indicators/years": "pam",
    "GET /indicators/u4ssc/CODE/districts.json": PEOPLE,
    "GET /indicators/u4ssc/CODE/districts.pdf": PEOPLE,
    "GET /indicators/u4ssc/CODE/districts": PEOPLE,
    "GET /indicators/u4ssc/CODE/districts.csv": PEOPLE,
    "POST /indicators/u4ssc/CODE/districts act=enter": "pm",
    "POST /indicators/u4ssc/CODE/districts act=verify": "am",
    "POST /indicators/u4ssc/CODE/districts act=withdraw": "pm",
    "GET /indicators/u4ssc/CODE.json": PEOPLE,
    "GET /indicators/u4ssc/CODE.pdf": PEOPLE,
    "GET /indicators/u4ssc/CODE": PEOPLE,
    "GET /indicators/u4ssc.json": PEOPLE,
    "GET /indicators/u4ssc.pdf": PEOPLE,
    "GET /indicators/u4ssc": PEOPLE,
    "GET /indicators/u4ssc/CODE/evidence/0000": "",
    "GET /indicators/u4ssc/import": "pm",
    "POST /indicators/u4ssc/import": "pm",
    "POST /indicators/u4ssc/CODE act=enter": "pm",
    "POST /indicators/u4ssc/CODE act=verify": "am",
    "POST /indicators/u4ssc/CODE act=withdraw": "pm",
    "GET /initiatives.json": PEOPLE,
    "GET /initiatives": PEOPLE,
    "GET /initiatives/new": "pm",
    "POST /initiatives/new": "pm",
    f"GET /initiatives/{INITIATIVE}/edit": "pm",
    f"POST /initiatives/{INITIATIVE}/edit": "pm",
    f"GET /initiatives/{INITIATIVE}/edit/costs": "pm",
    f"POST /initiatives/{INITIATIVE}/edit/costs": "pm",
    "GET /plan/action.json": PEOPLE,
    "GET /plan/action.pdf": PEOPLE,
    "GET /plan/action": PEOPLE,
    "GET /plan/action/timeline.json": PEOPLE,
    "GET /plan/action/timeline.pdf": PEOPLE,
    "GET /plan/action/timeline": PEOPLE,
    "GET /plan/action/timeline.csv": PEOPLE,
    "GET /plan/action/timeline.xlsx": PEOPLE,
    "GET /plan/action/calendar.ics": PEOPLE,
    "GET /plan/action/budget.json": PEOPLE,
    "GET /plan/action/budget.pdf": PEOPLE,
    "GET /plan/action/budget": PEOPLE,
    "GET /plan/action/budget.csv": PEOPLE,
    "GET /plan/action/budget.xlsx": PEOPLE,
    "GET /plan/action/ranking.json": PEOPLE,
    "GET /plan/action/ranking.pdf": PEOPLE,
    "GET /plan/action/ranking": PEOPLE,
    "GET /plan/action/ranking.csv": PEOPLE,
    "GET /plan/action/ranking.xlsx": PEOPLE,
    "GET /plan/action/funding.json": PEOPLE,
    "GET /plan/action/funding.pdf": PEOPLE,
    "GET /plan/action/funding": PEOPLE,
    "GET /plan/action/coverage.json": PEOPLE,
    "GET /plan/action/coverage.pdf": PEOPLE,
    "GET /plan/action/coverage": PEOPLE,
    "GET /plan/action/coverage.csv": PEOPLE,
    f"GET /initiatives/{INITIATIVE}.pdf": PEOPLE,
    f"GET /initiatives/{INITIATIVE}.json": PEOPLE,
    f"GET /initiatives/{INITIATIVE}": PEOPLE,
    f"POST /initiatives/{INITIATIVE}": "pm",
    "GET /plan/assessments.csv": PEOPLE,
    "GET /plan/assessments.json": PEOPLE,
    "GET /plan/assessments": PEOPLE,
    "GET /plan/assessments/city_category.json": PEOPLE,
    "GET /plan/assessments/city_category": PEOPLE,
    "GET /plan/assessments/city_category/answer": "pm",
    "POST /plan/assessments/city_category/answer": "pm",
    f"GET /plan/assessments/answers/{ASSESSMENT}.json": STAFF,
    f"GET /plan/assessments/answers/{ASSESSMENT}.pdf": STAFF,
    f"GET /plan/assessments/answers/{ASSESSMENT}": STAFF,
    f"GET /plan/assessments/answers/{ASSESSMENT}/edit": "pm",
    f"POST /plan/assessments/answers/{ASSESSMENT}/edit": "pm",
    f"POST /plan/assessments/answers/{ASSESSMENT} act=publish version=1": "pm",
    "GET /library.json": PEOPLE,
    "GET /library": PEOPLE,
    "GET /library/smart_cities_52.csv": PEOPLE,
    "GET /library/smart_cities_52.json": PEOPLE,
    "GET /library/smart_cities_52": PEOPLE,
    "GET /library/smart_cities_52/masdar.json": PEOPLE,
    "GET /library/smart_cities_52/masdar": PEOPLE,
    "GET /plan/contracts.csv": "pam",
    "GET /plan/contracts.json": PEOPLE,
    "GET /plan/contracts": PEOPLE,
    "GET /plan/contracts/new": "pm",
    "POST /plan/contracts/new": "pm",
    "GET /plan/contracts/parties.json": "pam",
    "GET /plan/contracts/parties": "pam",
    "POST /plan/contracts/parties": "pm",
    f"GET /plan/contracts/{CONTRACT}/edit": "pm",
    f"POST /plan/contracts/{CONTRACT}/edit": "pm",
    # Nothing is settled here, so no readings were kept.
    f"GET /plan/contracts/{CONTRACT}/2026-03-01/readings.csv": "",
    f"GET /plan/contracts/{CONTRACT}/2026-03-01.csv": "pam",
    f"GET /plan/contracts/{CONTRACT}/2026-03-01.json": "pam",
    f"GET /plan/contracts/{CONTRACT}/2026-03-01.pdf": "pam",
    f"GET /plan/contracts/{CONTRACT}/2026-03-01": "pam",
    # Nobody here is its examiner; test_contract_pages.py has those who are.
    f"POST /plan/contracts/{CONTRACT}/2026-03-01 act=settle": "",
    f"GET /plan/contracts/{CONTRACT}.json": "pam",
    f"GET /plan/contracts/{CONTRACT}.pdf": "pam",
    f"GET /plan/contracts/{CONTRACT}": "pam",
    f"POST /plan/contracts/{CONTRACT} act=conclude": "pam",
    "GET /plan.json": PEOPLE,
    "GET /plan": PEOPLE,
    "GET /plan/phases/1.json": PEOPLE,
    "GET /plan/phases/1": PEOPLE,
    "POST /plan/phases/1": "pm",
    "GET /plan/baselines.json": PEOPLE,
    "GET /plan/baselines": PEOPLE,
    "POST /plan/baselines": "pm",
    f"GET /plan/baselines/{BASELINE}/file": PEOPLE,
    f"GET /plan/baselines/{BASELINE}.csv": PEOPLE,
    f"GET /plan/baselines/{BASELINE}.json": PEOPLE,
    f"GET /plan/baselines/{BASELINE}": PEOPLE,
    "GET /plan/dependencies.json": PEOPLE,
    "GET /plan/dependencies": PEOPLE,
    "GET /plan/state-of-infrastructure.csv": PEOPLE,
    "GET /plan/state-of-infrastructure.json": PEOPLE,
    "GET /plan/state-of-infrastructure": PEOPLE,
    "GET /plan/goal-tree.json": PEOPLE,
    "GET /plan/goal-tree": PEOPLE,
    "GET /plan/unpublished.json": "pm",
    "GET /plan/unpublished": "pm",
    "POST /plan/unpublished": "pm",
    "GET /plan/versions.json": PEOPLE,
    "GET /plan/versions": PEOPLE,
    "POST /plan/versions": "m",
    # Two versions are named in the query.
    "GET /plan/versions/compare.json": "",
    "GET /plan/versions/compare": "",
    f"GET /plan/versions/{VERSION}/file": PEOPLE,
    f"GET /plan/versions/{VERSION}.json": PEOPLE,
    f"GET /plan/versions/{VERSION}": PEOPLE,
    "GET /plan/monitoring.csv": PEOPLE,
    "GET /plan/monitoring.json": PEOPLE,
    "GET /plan/monitoring": PEOPLE,
    "GET /plan/communication.ics": PEOPLE,
    "POST /plan/changes/urn:ngsi-ld:PlanChange:1/answer": "pm",
    "POST /plan/adoption/urn:ngsi-ld:AdoptionScenario:1/budget": "pm",
    "POST /plan/tenders/urn:ngsi-ld:Tender:1/award": "pm",
    "GET /consultations.json": PEOPLE,
    "GET /consultations": PEOPLE,
    f"GET /consultations/{CONSULTATION}.json": PEOPLE,
    f"GET /consultations/{CONSULTATION}": PEOPLE,
    f"POST /consultations/{CONSULTATION}": PEOPLE,
    f"GET /plan/contributions/{CONSULTATION}/all.csv": STAFF,
    f"GET /plan/contributions/{CONSULTATION}/all.json": STAFF,
    f"GET /plan/contributions/{CONSULTATION}/all": STAFF,
    f"GET /plan/contributions/{CONSULTATION}/enter": "pm",
    f"POST /plan/contributions/{CONSULTATION}/enter": "pm",
    f"GET /plan/contributions/{CONTRIBUTION}.json": STAFF,
    f"GET /plan/contributions/{CONTRIBUTION}": STAFF,
    f"POST /plan/contributions/{CONTRIBUTION} act=contact": "pm",
    "POST /contribution/code": PEOPLE,
    # Whoever has the code is the author; nobody here has one.
    "GET /contribution/wrong-code-1/my-data.zip": "",
    "GET /contribution/wrong-code-1/letter.pdf": "",
    "GET /contribution/wrong-code-1/letter": "",
    "GET /contribution/wrong-code-1.json": "",
    "GET /contribution/wrong-code-1": "",
    "POST /contribution/wrong-code-1": "",
    "GET /plan/stakeholders/participation.csv": STAFF,
    "GET /plan/stakeholders/participation.json": STAFF,
    "GET /plan/stakeholders/participation": STAFF,
    "GET /plan/stakeholders/analysis.json": STAFF,
    "GET /plan/stakeholders/analysis": STAFF,
    "POST /plan/stakeholders/analysis": "pm",
    "GET /plan/stakeholders/diagrams/map.svg": PEOPLE,
    "GET /plan/stakeholders/diagrams/map.csv": PEOPLE,
    "GET /plan/stakeholders/diagrams/map.json": PEOPLE,
    "GET /plan/stakeholders/diagrams/map": PEOPLE,
    "GET /plan/stakeholders/diagrams/classification": PEOPLE,
    "GET /plan/stakeholders/diagrams/onion": STAFF,
    "GET /plan/stakeholders/diagrams/grid": STAFF,
    "GET /plan/stakeholders/diagrams/trend": STAFF,
    "GET /plan/stakeholders.json": PEOPLE,
    "GET /plan/stakeholders": PEOPLE,
    "POST /plan/stakeholders/load": "pm",
    "GET /plan/stakeholders/matrix.csv": PEOPLE,
    "GET /plan/stakeholders/matrix.json": PEOPLE,
    "GET /plan/stakeholders/matrix": PEOPLE,
    "GET /plan/stakeholders/engagement.csv": STAFF,
    "GET /plan/stakeholders/engagement.json": STAFF,
    "GET /plan/stakeholders/engagement": STAFF,
    "GET /plan/stakeholders/note-contact": "pm",
    "POST /plan/stakeholders/note-contact": "pm",
    "GET /plan/all.json": PEOPLE,
    "GET /plan/all.csv": PEOPLE,
    "GET /plan/all.xlsx": PEOPLE,
    "GET /plan/import": "pm",
    "POST /plan/import": "pm",
    "GET /plan/goals/import": "pm",
    "POST /plan/goals/import": "pm",
    "GET /plan/goals.csv": PEOPLE,
    "GET /plan/goals.xlsx": PEOPLE,
    "GET /plan/goals.pdf": PEOPLE,
    "GET /plan/goals.json": PEOPLE,
    "GET /plan/goals": PEOPLE,
    "GET /plan/goals/new": "pm",
    "POST /plan/goals/new": "pm",
    f"GET /plan/goals/{GOAL}/edit": "pm",
    f"POST /plan/goals/{GOAL}/edit": "pm",
    f"GET /plan/goals/{GOAL}.json": PEOPLE,
    f"GET /plan/goals/{GOAL}.pdf": PEOPLE,
    f"GET /plan/goals/{GOAL}": PEOPLE,
    f"POST /plan/goals/{GOAL}": "pm",
    # What follows of an analysis that lacks its figures is told to whoever sees it.
    f"GET /plan/cost-benefit/{ANALYSIS}/result.json": PEOPLE,
    f"GET /plan/cost-benefit/{ANALYSIS}/result.csv": PEOPLE,
    f"GET /plan/cost-benefit/{ANALYSIS}/result.xlsx": PEOPLE,
    "GET /devices.json": "em",
    "GET /devices": "em",
    "GET /devices/new": "em",
    "POST /devices/new": "em",
    f"GET /devices/{OTHER_DEVICE}/arrived.json": "em",
    f"GET /devices/{OTHER_DEVICE}.json": "em",
    f"GET /devices/{OTHER_DEVICE}": "em",
    f"POST /devices/{OTHER_DEVICE} act=renew": "em",
    "GET /parked.json": "eoam",
    "GET /parked": "eoam",
    "POST /parked act=discard": "eoam",
    "GET /services.json": "eopasm",
    "GET /services": "eopasm",
    "POST /services/nothing act=run": "em",
    "POST /services/nothing act=resume": "em",
    "POST /connectors/http_push act=restart": "em",
    "GET /other-systems.json": "eoasm",
    "GET /other-systems": "eoasm",
    # There is none here: who may is told so.
    "POST /other-systems/subscriptions act=pause": "osm",
    "POST /other-systems/sources act=remove": "em",
    "GET /system.json": "eam",
    "GET /system": "eam",
    "GET /metrics": "eam",
    "POST /system/verify": "am",
    "GET /account.json": SIGNED_IN,
    "GET /account": SIGNED_IN,
    "POST /account/tokens": SIGNED_IN,
    "POST /account/revoke": SIGNED_IN,
    "GET /accounts.json": "m",
    "GET /accounts": "m",
    "POST /accounts": "m",
    "POST /accounts/nobody act=reset": "m",
    "GET /open-data/catalogue.jsonld": PEOPLE,
    "GET /open-data.json": PEOPLE,
    "GET /open-data": PEOPLE,
    "GET /open-data/Thing.csv": PEOPLE,
    "GET /about.json": PEOPLE,
    "GET /about": PEOPLE,
}

WRITERS = "esm"


def _routes(city) -> list[tuple[str, re.Pattern[str], str]]:
    found = []
    for route in city.site.pages.routes:
        if not isinstance(route, Mount):
            found += [(method, route.path_regex, route.path) for method in route.methods - {"HEAD"}]
    return found


def _split(line: str) -> tuple[str, str, dict[str, str]]:
    method, path, *fields = line.split(" ")
    return method, path, dict(field.split("=") for field in fields)


async def test_every_page_s_address_stands_in_the_table(city):
    routes = _routes(city)
    listed = set()
    for line in PAGES:
        method, path, _ = _split(line)
        # As the application does: the first that matches.
        listed.add(next(((of, name) for of, fits, name in routes if of == method and fits.match(path)), line))
    assert {(of, name) for of, _, name in routes} == listed


@pytest.fixture
async def filled(measured_city):
    """A city in which there is one of everything."""
    city = measured_city
    at = {"location": point(8.95, 56.05), "name": prop("One")}
    for entity_id, secrecy in zip((THING, INSIDE, SECRET), InformationClass, strict=True):
        await city.write(
            entity("Thing", entity_id, {**at, "level": prop(1.0, at=city.clock.now())}), secrecy=secrecy
        )
    for entity_id in (ALERT, NOTICE, INITIATIVE, GOAL, ANALYSIS, BASELINE, VERSION, CONSULTATION):
        kind = entity_id.split(":")[2]
        more = {"status": prop("open" if kind == "Alert" else "published"), "phase": prop("running")}
        await city.write(entity(kind, entity_id, {**at, **more}), secrecy=InformationClass.OPEN)
    photo = city.rooms.reports._photos.put(b"a picture", "png", of="urn:ngsi-ld:CitizenReport:1")
    said = {**at, "status": prop("received"), "category": prop("road"), "photo": prop(photo)}
    await city.write(entity("CitizenReport", REPORT, said), secrecy=InformationClass.INTERNAL)
    contribution = {"status": prop("received"), "consultation": rel(CONSULTATION)}
    await city.write(
        entity("ConsultationContribution", CONTRIBUTION, contribution), secrecy=InformationClass.INTERNAL
    )
    await city.devices.admit(TERMINAL, Device(OTHER_DEVICE))
    line = Line(name={"en": "Level"}, about=THING, attribute="level", target=2.0, worst=1.0)
    terms = Terms(
        name={"en": "One"},
        provider=PARTY,
        examiner=TERMINAL.id,
        currency="EUR",
        starts=date(2026, 3, 1),
        ends=date(2026, 5, 1),
        lines=(line,),
    )
    contract = {"status": prop("draft"), "terms": json_value(msgspec.to_builtins(terms))}
    answers = {"leader": Answer("it_company")}
    result = evaluated(city.rooms.assessments.questionnaire("city_category"), answers)
    given = Given("2026-04-01T00:00:00Z", "planner", "0", answers, result)
    answered = {"questionnaire": prop("city_category"), "versions": json_value([msgspec.to_builtins(given)])}
    await city.write(
        entity("Assessment", ASSESSMENT, answered),
        entity("ContractParty", PARTY, {"name": prop("Somebody")}),
        entity("ServiceContract", CONTRACT, contract),
        secrecy=InformationClass.INTERNAL,
    )
    return city


class Readers:
    """Everybody of `WHO`, each with what they show."""

    def __init__(self, city, reader_class) -> None:
        self._city = city
        self._reader_class = reader_class

    async def one(self, who: str):
        reader = self._reader_class(self._city)
        if who == "device":
            reader.client.headers["authorization"] = f"Bearer {await self._device_token()}"
        elif who != "visitor":
            await reader.sign_in(who)
        return reader

    async def _device_token(self) -> str:
        return await self._city.devices.admit(TERMINAL, Device(DEVICE, profile=Profile("Thing", THING)))


async def _ask(reader, line: str):
    method, path, fields = _split(line)
    path = path.replace("{name:path}", "city.css").replace("{connector}", "http_push").replace("CODE", CODE)
    if path == "/live":
        # A stream has no end: the tests of the stream read it.
        return None
    if method == "GET":
        return await reader.get(path)
    if path.startswith("/hooks/"):
        return await reader.client.post(path, json={"level": 2})
    if "point" not in fields and path.startswith("/indicators/"):
        fields["point"] = POINT
    if "authorization" in reader.client.headers:
        return await reader.client.post(path, data=fields)
    return await reader.send(path, fields)


def _is_refused(line: str, answer) -> bool:
    to = answer.headers.get("location", "")
    hidden = answer.status_code == 404 and (line.startswith("GET ") or not PAGES[line])
    return hidden or answer.status_code in (401, 403) or to.startswith("/sign-in")


async def test_everybody_may_do_what_the_table_says_and_nothing_else(filled, reader_class):
    readers = Readers(filled, reader_class)
    found: dict[str, str] = dict.fromkeys(PAGES, "")
    for who, letter in zip(WHO, LETTERS, strict=True):
        reader = await readers.one(who)
        # Signing out and choosing a password end what the others need.
        for line in sorted(PAGES, key=lambda one: one == "POST /sign-out"):
            answer = await _ask(reader, line)
            if answer is None:
                found[line] = PAGES[line]
                continue
            assert answer.status_code < 500, (who, line, answer.status_code)
            if not _is_refused(line, answer):
                found[line] += letter
    wrong = {line: (found[line], may) for line, may in PAGES.items() if set(found[line]) != set(may)}
    assert not wrong, "\n".join(
        f"{line}: {did!r}, the table says {may!r}" for line, (did, may) in wrong.items()
    )


async def test_a_program_may_write_over_ngsi_ld_when_its_account_may(filled, reader_class):
    readers = Readers(filled, reader_class)
    allowed: dict[str, str] = {}
    for who, letter in zip(WHO, LETTERS, strict=True):
        reader = await readers.one(who)
        for operation in OPERATIONS:
            line = f"{operation.method} {operation.path}"
            path = re.sub(r"{\w+}", "urn:ngsi-ld:Nothing:1", operation.path)
            answer = await reader.client.request(operation.method, f"/ngsi-ld/v1{path}", json={"a": 1})
            assert answer.status_code < 500, (who, line, answer.text)
            if answer.status_code not in (401, 403):
                allowed[line] = allowed.get(line, "") + letter
    expected = {f"{one.method} {one.path}": _who_may(one) for one in OPERATIONS}
    assert allowed == expected
    assert {f"{one.method} {one.path}" for one in OPERATIONS if not one.writes} == READING


def _who_may(operation) -> str:
    if operation.path.startswith(("/subscriptions", "/csourceSubscriptions")):
        return _holding("subscriptions:edit")
    if operation.path.startswith("/csourceRegistrations") and operation.method == "GET":
        return STAFF
    if operation.path.startswith("/csourceRegistrations/"):
        return _holding("connectors:manage")
    return WRITERS if operation.writes else PEOPLE


def _holding(permission: str) -> str:
    pairs = zip(LETTERS, WHO, strict=True)
    return "".join(one for one, who in pairs if who in ROLES and permission in ROLES[who].permissions)


#: What needs no leave to write; everything else of the API does.
READING = {
    "GET /entities",
    "GET /entities/{entityId}",
    "POST /entityOperations/query",
    "GET /temporal/entities",
    "GET /temporal/entities/{entityId}",
    "GET /snapshots/{snapshotId}",
    "GET /entityMaps",
    "POST /entityMaps",
    "GET /entityMaps/{entityMapId}",
    "PATCH /entityMaps/{entityMapId}",
    "DELETE /entityMaps/{entityMapId}",
    "POST /temporal/entityOperations/query",
    "GET /temporal/entityMaps",
    "POST /temporal/entityMaps",
    "GET /types",
    "GET /types/{type}",
    "GET /attributes",
    "GET /attributes/{attrId}",
    "GET /jsonldContexts",
    "GET /jsonldContexts/{contextId}",
    "GET /info/sourceIdentity",
    "GET /subscriptions",
    "GET /subscriptions/{subscriptionId}",
    "POST /subscriptions",
    "PATCH /subscriptions/{subscriptionId}",
    "DELETE /subscriptions/{subscriptionId}",
    "POST /csourceRegistrations",
    "PATCH /csourceRegistrations/{registrationId}",
    "DELETE /csourceRegistrations/{registrationId}",
    "GET /csourceRegistrations",
    "GET /csourceRegistrations/{registrationId}",
    "GET /csourceSubscriptions",
    "GET /csourceSubscriptions/{subscriptionId}",
    "POST /csourceSubscriptions",
    "PATCH /csourceSubscriptions/{subscriptionId}",
    "DELETE /csourceSubscriptions/{subscriptionId}",
}


#: The resources of OGC API - Features, with a feature of each class of information; then who may.
FEATURES: dict[str, str] = {
    "/": PEOPLE,
    "/api": PEOPLE,
    "/conformance": PEOPLE,
    "/collections": PEOPLE,
    "/collections/Thing": PEOPLE,
    "/collections/Secret": "sm",
    "/collections/Thing/queryables": PEOPLE,
    "/collections/Secret/queryables": "sm",
    "/collections/Thing/schema": PEOPLE,
    "/collections/Secret/schema": "sm",
    "/collections/Thing/items": PEOPLE,
    "/collections/Secret/items": "sm",
    f"/collections/Thing/items/{THING}": PEOPLE,
    f"/collections/Thing/items/{INSIDE}": STAFF,
    f"/collections/Thing/items/{SECRET}": "sm",
}


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) is not None


async def _who_is_answered(filled, reader_class, root: str, paths) -> dict[str, str]:
    """Who is let read each path."""
    readers = Readers(filled, reader_class)
    found = dict.fromkeys(paths, "")
    for who, letter in zip(WHO, LETTERS, strict=True):
        reader = await readers.one(who)
        for path in paths:
            answer = await reader.get(f"{root}{path}")
            assert answer.status_code in (200, 401, 403, 404), (who, path, answer.text)
            if answer.status_code == 200:
                found[path] += letter
    return found


async def test_who_reads_which_features(filled, reader_class):
    await filled.write(entity("Secret", "urn:x:s", {}), secrecy=InformationClass.SECURITY)
    assert await _who_is_answered(filled, reader_class, "/ogc", FEATURES) == FEATURES
    untried = [one.path for one in RESOURCES if not any(_fits(one.path, path) for path in FEATURES)]
    assert untried == []


async def test_nobody_without_the_address_of_a_copy_is_heard_where_sources_notify(filled, reader_class):
    readers = Readers(filled, reader_class)
    notification = {"subscriptionId": "urn:ngsi-ld:Subscription:distsub-guess", "data": []}
    for who in WHO:
        reader = await readers.one(who)
        for path in ("", "/guess"):
            answer = await reader.client.post(f"{NOTIFIED_AT}{path}", json=notification)
            assert answer.status_code == (401 if who == "device" else 404), (who, answer.text)


#: SensorThings: the sets, and what belongs to a Thing of each class of information; then who may read it.
STA = "/sta/v1.1"
THINGS: dict[str, str] = {
    "": PEOPLE,
    **{f"/{name}": PEOPLE for name in SETS},
    **{
        f"/{path}": who
        for thing, who in ((THING, PEOPLE), (INSIDE, STAFF), (SECRET, "sm"))
        for path in (
            f"Things('{thing}')",
            f"Things('{thing}')/Datastreams",
            f"Things('{thing}')/HistoricalLocations",
            f"Locations('{thing};location')",
            f"Datastreams('{thing};level')",
            f"Datastreams('{thing};level')/Observations",
            f"Sensors('{thing}')",
            f"FeaturesOfInterest('{thing}')/Observations",
        )
    },
}


async def test_who_reads_which_things_and_observations(filled, reader_class):
    assert await _who_is_answered(filled, reader_class, STA, THINGS) == THINGS


async def test_who_creates_things_and_observations(filled, reader_class):
    readers = Readers(filled, reader_class)
    paths = [
        *(f"/{name}" for name in SETS),
        "/CreateObservations",
        f"/Datastreams('{THING};level')/Observations",
    ]
    allowed = dict.fromkeys(paths, "")
    for who, letter in zip(WHO, LETTERS, strict=True):
        reader = await readers.one(who)
        for path in paths:
            answer = await reader.client.post(STA + path, json={"a": 1})
            assert answer.status_code in (400, 401, 403, 422), (who, path, answer.text)
            if answer.status_code not in (401, 403):
                allowed[path] += letter
    assert allowed == dict.fromkeys(paths, WRITERS)
