"""The examples of the demo cities: read as data, shown as what they are."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cityloom.indicators.framework import read_framework
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.model import value_of
from cityloom.people.contribution import contribution_of
from cityloom.people.notices import SEVERITIES, notice_of
from cityloom.planning.model import Phase, initiative_of
from cityloom.planning.records.fields import Link, Links
from cityloom.planning.records.model import record_of
from cityloom.planning.records.writing import checked
from cityloom.planning.register import KINDS
from cityloom.planning.writing import attributes_of
from cityloom_catalogue.cities import examples
from cityloom_catalogue.cities.example_agreements import read_agreements
from cityloom_catalogue.cities.examples import read_examples
from cityloom_catalogue.cities.plan_examples import plan_acts

FOLDER = Path(examples.__file__).parent
CITIES = sorted(path.parent.name for path in FOLDER.glob("*/examples.toml"))
OPENS = datetime(2026, 4, 10, 10, tzinfo=UTC)


def documents(city, entity_type):
    found = read_examples(FOLDER / city / "examples.toml", city, OPENS)
    return [document for document in found if document["type"] == [entity_type]]


def test_there_are_two_cities_with_examples():
    assert CITIES == ["aarhus", "loomby"]


@pytest.mark.parametrize("city", CITIES)
def test_read_examples_are_all_called_examples(city):
    found = read_examples(FOLDER / city / "examples.toml", city, OPENS)
    assert len({document["id"] for document in found}) == len(found) >= 4
    for document in found:
        assert value_of(document, "example") is True
        assert value_of(document, "dataOrigin") == "simulated"
        name = value_of(document, "name") or value_of(document, "title")
        assert set(name) == {"en", "da"}
        if city == "aarhus":
            assert name["en"].startswith("Example: ")
            assert name["da"].startswith("Eksempel: ")


@pytest.mark.parametrize("city", CITIES)
def test_read_examples_write_initiatives_as_planning_does(city):
    for document in documents(city, "Initiative"):
        initiative = initiative_of(document)
        assert initiative.phase in set(Phase)
        assert not initiative.is_draft
        assert initiative.plan.spent.amount <= initiative.plan.budget.amount
        wanted = {name: item for name, item in attributes_of(initiative.plan).items() if item is not None}
        assert {name: document["attrs"][name][0] for name in wanted} == wanted
        assert not initiative.overdue(OPENS.date())


@pytest.mark.parametrize("city", CITIES)
def test_read_examples_promise_on_indicators_that_there_are(city):
    for document in documents(city, "Initiative"):
        for target in initiative_of(document).plan.targets:
            framework, code = target.indicator.removeprefix("urn:ngsi-ld:KeyPerformanceIndicator:").split(
                ":", 1
            )
            assert target.indicator in indicator_ids(framework), code


def indicator_ids(name):
    folder = FOLDER.parent / "frameworks" / name
    return {point.id for indicator in read_framework(folder).indicators for point in indicator.points}


@pytest.mark.parametrize("city", CITIES)
def test_read_examples_write_notices_that_hold_on_the_day_the_city_opens(city):
    for document in documents(city, "Notice"):
        notice = notice_of(document)
        assert notice.severity in SEVERITIES
        assert notice.is_current(OPENS)
        assert notice.published_at <= OPENS
        assert set(notice.body) == {"en", "da"}
        for end in (notice.valid_from, notice.valid_to):
            assert end.astimezone(ZoneInfo("Europe/Copenhagen")).hour == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("initiative = 3", "array"),
        ("[[notice]]\nid = 'x'", "title"),
        ("[[notice", "right"),
        ("budget = 1", "budget"),
    ],
)
def test_read_examples_name_the_file_that_is_wrong(tmp_path, content, said):
    path = tmp_path / "examples.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=said) as caught:
        read_examples(path, "x", OPENS)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("city", CITIES)
def test_the_example_plan_says_what_planning_would_let_be_written(city):
    kinds = {kind.type: kind for kind in KINDS}
    found = read_examples(FOLDER / city / "examples.toml", city, OPENS)
    ids = {document["id"] for document in found}
    records = [document for document in found if document["type"][0] in kinds]
    assert len(records) >= 40
    for document in records:
        kind = kinds[document["type"][0]]
        record = record_of(kind, document)
        # Whatever stands there is a field of the kind, and would be taken as it is.
        assert checked(kind, record.values) == record.values
        said = set(document["attrs"]) - {"status", "dateIssued", "example", "dataOrigin", "history"}
        assert said == set(record.values)
        for field in kind.fields:
            if isinstance(field, Link | Links):
                pointed = record.get(field.name, ())
                pointed = [pointed] if isinstance(pointed, str) else pointed
                assert all(one in ids or ":KeyPerformanceIndicator:" in one for one in pointed), document[
                    "id"
                ]


@pytest.mark.parametrize("city", CITIES)
def test_every_example_initiative_has_its_contract_and_a_voice(city):
    """The chain from an indicator to the citizens' words is whole in every demo city."""
    wanted = {document["id"] for document in documents(city, "Initiative")}
    agreements = read_agreements(FOLDER / city / "agreements.toml", city, OPENS)
    assert {one["terms"]["initiative"] for one in agreements["contracts"]} == wanted
    assert any(one["settled"] and one["paid"] for one in agreements["contracts"])
    contributions = [contribution_of(one) for one in documents(city, "ConsultationContribution")]
    changed = {what for one in contributions for what in one.responses[-1:] and one.responses[-1].what}
    assert wanted <= changed
    assert all(set(one.public_text) == {"en", "da"} for one in contributions if one.changed)
    assert {one.status for one in contributions} == {"answered", "received"}


@pytest.mark.parametrize("city", CITIES)
def test_every_example_contract_says_that_it_is_one(city):
    for one in read_agreements(FOLDER / city / "agreements.toml", city, OPENS)["contracts"]:
        assert "(example)" in one["provider"]
        assert "(example)" in one["terms"]["name"]["en"] and "(eksempel)" in one["terms"]["name"]["da"]


@pytest.mark.parametrize("city", CITIES)
def test_the_acts_of_the_plan_are_on_records_that_are_there(city):
    found = {
        document["id"]: document for document in read_examples(FOLDER / city / "examples.toml", city, OPENS)
    }
    acts = plan_acts(city)
    for name in ("first", "again"):
        assert value_of(found[acts[name]], "kind") == "adoption"
        assert value_of(found[acts[name]], "status") == "published"
    assert value_of(found[acts["change"]], "state") == "proposed"
