"""A citizen's report from a place, a photo and words to the answer that its author reads."""

from __future__ import annotations

import base64

#: A square of four pixels.
PHOTO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg=="
)
WORDS = "The lamp by the old mill has been dark since Monday"


def test_report_is_answered_and_its_author_reads_the_answer(town):
    citizen, operator = town.stranger(), town.person("oda", "operator")
    form = citizen.open("/report")
    wrong = form.press("Send the report", description=WORDS)
    assert "Choose what it is about." in wrong.text and "Choose the place" in wrong.text
    assert WORDS in wrong.text, "what was typed is kept"
    sent = wrong.press(
        "Send the report",
        {"photo": ("lamp.png", PHOTO, "image/png")},
        category="lighting",
        latitude="56,001",
        longitude="9.001",
        placeName="Mill Lane",
        email="citizen@example.org",
    )
    code = sent.part("follow-code")
    assert "There is no answer yet" in sent.text
    photo = citizen.client.get(f"/report/{code}/photo")
    assert photo.headers["content-type"] == "image/png"

    # Only the city's staff see it: in their list and on their map.
    assert WORDS not in citizen.open("/reports").text
    assert "Reports that wait 1" in operator.open("/").text
    desk = operator.open("/reports").follow(WORDS)
    entity_id = operator.data(f"{desk.path}.json")["id"]
    assert entity_id in operator.client.get("/map.json").text
    assert entity_id not in citizen.client.get("/map.json").text
    assert "citizen@example.org" not in desk.text
    assert "citizen@example.org" in desk.press("Show how to reach the author").text
    done = operator.open(desk.path).press("Send the answer", answer="A fitter comes on Thursday.")
    assert "The answer is sent." in done.text

    page = citizen.open("/report").press("See the answer", code=code)
    assert "A fitter comes on Thursday." in page.text
    assert "Sent to the city." in page.press("Send", text="It flickers now.").text
    assert "It flickers now." in operator.open(desk.path).text
    closed = operator.open(desk.path).press("Close the report", why="The lamp is new.", fixed="yes")
    assert "The report is closed." in closed.text
    again = citizen.open(f"/report/{code}").press("Open it again", why="It is dark again.")
    assert "open again" in again.text
    published = operator.open(desk.path).press("Publish it", withPhoto="1")
    assert "Everybody can read the report now." in published.text
    everybody = town.stranger().open("/reports").follow(WORDS)
    assert "A fitter comes on Thursday." in everybody.text and "example.org" not in everybody.text
    assert "read how to reach the author" in town.administrator.open("/system").text


def test_wrong_code_tells_nothing(town):
    page = town.stranger().open("/report").press("See the answer", code="no-such-code-at-all")
    assert page.status == 404 and WORDS not in page.text
