"""The texts of questions over many series are what their expressions mean, in Ibis' words of today."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import pytest

from cityloom.adapters.sql import long_questions


@pytest.mark.parametrize("dialect", long_questions.DIALECTS)
def test_the_texts_are_what_ibis_makes_of_the_expressions(dialect):
    pytest.importorskip("ibis", reason="amber: Ibis is not installed")
    kept = (resources.files("cityloom.adapters.sql") / "questions" / f"{dialect}.sql").read_text()
    assert kept == long_questions.text_of(dialect), (
        "run python -m cityloom.adapters.sql.long_questions and look at the difference"
    )


def test_whoever_asks_needs_no_ibis():
    """It takes 54 MB and more than a second."""
    asked = (
        "import sys, cityloom.adapters.duckdb.history, cityloom.adapters.postgres.history;"
        "from cityloom.adapters.sql.long_questions import question;"
        "question('duckdb', 'presence', first=0, step=1);"
        "sys.exit('ibis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_bounds_are_numbers_and_nothing_else():
    with pytest.raises(ValueError):
        long_questions.question("duckdb", "presence", first="0; DROP TABLE reading", step=1)
    told = long_questions.question(
        "duckdb", "held", since=0, before=1, until=1, hold=1, above=float("-inf"), below=None
    )
    assert "CAST('-inf' AS DOUBLE PRECISION)" in told and "CAST(NULL AS DOUBLE PRECISION)" in told
