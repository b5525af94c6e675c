"""The guide to questionnaires: its example is read, answered, and comes to what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

from cityloom.planning.assessments.evaluating import Answer, check_answers, evaluated
from cityloom.planning.assessments.questionnaire import Kind
from cityloom.planning.assessments.reading import read_assessment

GUIDE = (Path(__file__).parents[2] / "docs/guides/write_a_questionnaire.md").read_text(encoding="utf-8")


def test_the_example_of_the_guide_is_a_questionnaire(tmp_path):
    (said,) = re.findall(r"```toml manifest.toml\n(.*?)```", GUIDE, re.S)
    (tmp_path / "manifest.toml").write_text(said, encoding="utf-8")
    asked = read_assessment(tmp_path)
    given = {"report_themselves": Answer("yes"), "age": Answer(5.0), "safe": Answer(3.0)}
    result = evaluated(asked, check_answers(asked, given))
    assert (result.score, result.category) == (250 / 3, "keep")
    poor = evaluated(asked, {**given, "report_themselves": Answer("no"), "age": Answer(30.0)})
    assert (poor.category, poor.missing) == ("renew", ("report_themselves",))
    assert evaluated(asked, {"safe": Answer(4.0)}).category == ""


def test_the_guide_names_every_kind_of_question():
    named = set(re.findall(r"^\| `(\w+)`", GUIDE, re.M)) - {"kind"}
    assert named == {one.value for one in Kind}
