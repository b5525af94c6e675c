"""The guide to contracts paid on indicators: its example computes, its roles may do what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from cityloom.access.roles import ROLES

GUIDE = (Path(__file__).parents[2] / "docs/guides/pay_by_results.md").read_text(encoding="utf-8")


def test_the_example_comes_to_what_the_guide_says():
    (code,), (said,) = (re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.S) for kind in ("python", "console"))
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        exec(code, {})
    assert written.getvalue() == said


def test_the_roles_of_the_guide_may_do_what_it_says():
    rows = re.findall(r"^\| ([a-z ]+) \| (`.*?`(?: or `.*?`)?) \|", GUIDE, re.M)
    needed = {
        "the author": "contracts:manage",
        "the examiner": "contracts:examine",
        "the provider": "contracts:provide",
        "the reviewer": "contracts:examine",
        "the cashier": "contracts:manage",
    }
    said = {who: re.findall(r"`(\w+)`", roles) for who, roles in rows}
    assert set(said) == {*needed, "a second person"}
    for who, permission in needed.items():
        assert all(permission in ROLES[role].permissions for role in said[who])
    assert all(
        ROLES[role].permissions & {"contracts:manage", "contracts:examine"}
        for role in said["a second person"]
    )
