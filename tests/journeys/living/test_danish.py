"""Danish from signing in to a report: no English word where a Danish one is due."""

from __future__ import annotations

ENGLISH = ("Sign in", "Password", "Report something", "Thank you", "Alerts", "Home", "Notices")


def test_danish_reader_goes_from_signing_in_to_a_report_in_danish(town):
    first = town.invite("søren", "operator")
    soeren = town.stranger(language="da-DK,da;q=0.9,en;q=0.5")
    page = soeren.open("/sign-in")
    pages = [page]
    assert 'lang="da"' in page.html
    wrong = page.press("Log ind", name="søren", password="nej")
    assert "Brugernavnet eller adgangskoden er ikke rigtig." in wrong.text
    pages += [wrong, wrong.press("Log ind", name="søren", password=first)]
    assert pages[-1].path == "/password"
    chosen = pages[-1].press("Gem adgangskoden", current=first, password="syv stille lygter", again="x")
    assert "De to adgangskoder er ikke ens" in chosen.mistakes
    own = "syv stille lygter"
    home = chosen.press("Gem adgangskoden", current=first, password=own, again=own)
    assert home.path == "/"
    report = soeren.open("/report")
    pages += [chosen, home, report, soeren.open("/alerts"), soeren.open("/map")]
    sent = report.press(
        "Send henvendelsen",
        category="road",
        description="Hul i vejen ved møllen",
        latitude="56,002",
        longitude="9,002",
    )
    code = sent.part("follow-code")
    listed = soeren.open("/reports").follow("Hul i vejen")
    answered = listed.press("Send svaret", answer="Vi kommer på torsdag.")
    page = soeren.open(f"/report/{code}")
    assert "Vi kommer på torsdag." in page.text
    for seen in (*pages, sent, listed, answered, page):
        assert [word for word in ENGLISH if f" {word} " in seen.text] == [], seen.path


def test_language_is_chosen_with_a_button_and_kept(town):
    reader = town.stranger()
    page = reader.open("/notices").press("Dansk")
    assert 'lang="da"' in page.html and 'lang="da"' in reader.open("/about").html
    assert 'lang="en"' in page.press("English").html
