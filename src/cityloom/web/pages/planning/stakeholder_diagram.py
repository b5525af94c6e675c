"""A diagram of stakeholders and the table that says the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cityloom.web.drawing.svg import Drawing


class Choice(msgspec.Struct, frozen=True):
    """What a diagram can be narrowed to: a field of its form."""

    name: str
    label: str
    chosen: str
    choices: Sequence[tuple[str, str]]
    blank: str


class Diagram(msgspec.Struct, frozen=True):
    """A diagram and the table that says the same. `paths` lead from each row to a page, "" to none."""

    title: str
    about: str
    drawing: Drawing
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    paths: Sequence[str]
    choices: Sequence[Choice] = ()
    notes: Sequence[str] = ()
