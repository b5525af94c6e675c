"""An indicator that no sensor answers: entered with evidence, verified by another, scored, and aimed at."""

from __future__ import annotations

import datetime

#: Share of households with internet access: U4SSC's first, core, in percent, its target 100.
PAGE = "/indicators/u4ssc/EC:ICT:ICT:1C"
#: Fixed broadband subscriptions a hundred households; for the initiative, so that each journey stands alone.
AIM = "/indicators/u4ssc/EC:ICT:ICT:2C"
TODAY = datetime.datetime.now(datetime.UTC).date()


def day(ago: int) -> str:
    return (TODAY - datetime.timedelta(days=ago)).isoformat()


def test_value_is_entered_with_evidence_and_verified_by_another_person(town):
    planner = town.person("per", "planner", "auditor")
    auditor, visitor = town.person("axel", "auditor"), town.stranger()
    page = visitor.open(PAGE)
    assert "not reported" in page.text
    assert "households with Internet access (fixed or mobile) / total households" in page.text
    wrong = planner.open(PAGE).press("Enter the value", value="140", since=day(300), until=day(400))
    assert wrong.status == 400 and "Say where the value comes from." in wrong.text
    survey = ("survey.csv", b"households,online\n11200,9520\n", "text/csv")
    entered = planner.open(PAGE).press(
        "Enter the value",
        {"evidence": survey},
        numerator="9520",
        denominator="11200",
        since=day(400),
        until=day(36),
        source="Survey of the city's office of statistics",
    )
    assert "The value is entered." in entered.text
    page = visitor.open(PAGE)
    # 85 % of a target of 100: the third band of U4SSC's rule, from 66 up to 95 %.
    assert "85 % 3 of 4 points" in page.text and "not verified" in page.text
    assert "9,520" in page.row("Numerator") and "11,200" in page.row("Denominator")
    assert "survey.csv" not in page.text, "the evidence was not made public"
    assert auditor.open(PAGE).follow("survey.csv").html == survey[1].decode()
    own = planner.open(PAGE).press("Verify the value")
    assert own.status in (400, 403) and "not verified" in visitor.open(PAGE).text
    assert "The value is verified." in auditor.open(PAGE).press("Verify the value").text
    assert "not verified" not in visitor.open(PAGE).text
    log = auditor.open("/system")
    assert "per" in log.row("entered a value") and "axel" in log.row("verified a value")
    assert log.text.count("verified a value") == 1, "the refused attempt is no deed"
    way = visitor.open(PAGE).follow("How do we know?")
    assert "Household Internet Access" in way.text


def filled(draft):
    """What else an action says before it is adopted and its work begins, step by step; then its page."""
    costs = draft.press("Save and go on", kind="project", rhythm="yearly", reportTo="The council")
    year = str(TODAY.year)
    funding = costs.press("Save and go on", currency="DKK", year_0=year, capital_0="1200000", operating_0="0")
    checks = funding.press("Save and go on")
    said = {"result": "passed", "by": "Security office", "on": day(10), "evidence": "Report 7"}
    done = {f"{name}_{one}": said[name] for one in ("emf", "security", "privacy") for name in said}
    page = checks.press("Save", **done)
    assert not page.mistakes
    return page


def test_initiative_shows_its_indicator_before_and_after_and_is_found_from_it(town, until):
    planner, visitor = town.person("per", "planner", "auditor"), town.stranger()
    surveys = (("61", 1600), ("62", 1400), ("63", 1200), ("71", 600), ("76", 400), ("84", 30))
    for value, ago in surveys:
        done = planner.open(AIM).press(
            "Enter the value", value=value, since=day(ago + 180), until=day(ago), source="Survey"
        )
        assert "The value is entered." in done.text, done.mistakes
    point = visitor.data(f"{AIM}.json")["figures"][0]["id"]
    form = planner.open("/initiatives/new")
    draft = form.press(
        "Save",
        name_en="Fibre to every farm",
        description_en="The last 1,700 homes get a connection.",
        owner="Department of works",
        budget="1200000",
        spent="300000",
        currency="DKK",
        startsAt=day(1000),
        endsAt=(TODAY + datetime.timedelta(days=300)).isoformat(),
        milestone_0_name="Cable to the mill",
        milestone_0_due=day(-30),
        milestone_1_name="Tender",
        milestone_1_due=day(500),
        target_0_indicator=point,
        target_0_baseline="62",
        target_0_target="95",
        target_0_due=(TODAY + datetime.timedelta(days=365)).isoformat(),
    )
    assert "The draft is saved" in draft.text, draft.mistakes
    assert "Fibre" not in visitor.open("/initiatives").text
    page = filled(draft).press("Adopt it")
    page = page.press("Move it", phase="planned")
    page = page.press("Move it", phase="running")
    assert "overdue" in page.row("Tender")
    page = page.press("Reached: Tender")
    assert "reached on" in page.row("Tender")
    path = visitor.open("/initiatives").follow("Fibre to every farm").path
    until(lambda: "Before" in visitor.open(path).text, "the last value in the history")
    seen = visitor.open(path)
    assert "25 %" in seen.row("Spent") and "DKK" in seen.text
    assert "62 %" in seen.row("Before") and "77 %" in seen.row("Since")
    assert "84 % 3 of 4 points" in visitor.open(AIM).text
    forward = visitor.open(f"/follow/{point}").text.partition("What rests on it")[2]
    assert "Fibre to every farm" in forward
    assert "1,200,000" in visitor.open(AIM).row("Fibre to every farm")
