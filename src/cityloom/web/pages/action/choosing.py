"""What a form offers: choices in the reader's words, and Entities by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cityloom.context.publishing import public_id
from cityloom.context.reading import word
from cityloom.people.reports import ReportQuery
from cityloom.planning.action.admission import DECISION
from cityloom.web.forms import Form
from cityloom.web.looks import name_of
from cityloom.web.visit import Visit

#: Names that a field suggests; others can be typed.
SUGGESTED = 300
#: The newest reports that can be linked by their words; an older one by its id.
_REPORTS = 200


def options(visit: Visit, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """The choices with their words."""
    return [(value, visit.gettext(words)) for value, words in known.items()]


class Linkable(msgspec.Struct, frozen=True):
    """Entities that a field may point at: ids by the label that is typed, no label twice."""

    by_label: Mapping[str, str]

    @property
    def suggested(self) -> list[str]:
        return list(self.by_label)[:SUGGESTED]

    def labels(self, ids: Iterable[str]) -> list[str]:
        """The labels of ids; the id itself of what may not be seen."""
        of_id = {entity_id: label for label, entity_id in self.by_label.items()}
        return [of_id.get(public_id(one), one) for one in ids]

    def taken(self, visit: Visit, form: Form, name: str, rows: int, before: Sequence[str]) -> tuple[str, ...]:
        """The ids of what was typed into the fields `name`_0 … What is unknown is marked there."""
        found = []
        for row in range(rows):
            typed = form.text(f"{name}_{row}", longest=600)
            if not typed:
                continue
            entity_id = self.by_label.get(typed) or (typed if typed.startswith("urn:") else "")
            if not entity_id:
                entity_id = next((one for one in before if one == typed), "")
            if not entity_id:
                form.wrong(f"{name}_{row}", visit.gettext("Nothing has this name. Choose one of the list."))
                continue
            found.append(public_id(entity_id))
        return tuple(dict.fromkeys(found))


def _linkable(pairs: Iterable[tuple[str, str]]) -> Linkable:
    """Of (id, name): a name that several have gets the end of the id."""
    known = {public_id(entity_id): name for entity_id, name in pairs}
    count = Counter(known.values())
    labels = {
        name if count[name] == 1 else f"{name} ({entity_id.rpartition(':')[2]})": entity_id
        for entity_id, name in known.items()
    }
    return Linkable(dict(sorted(labels.items(), key=lambda pair: pair[0].casefold())))


def initiatives(visit: Visit, but: str = "") -> Linkable:
    """The initiatives but one."""
    return _linkable(
        (one.id, visit.wording.said(one.plan.name))
        for one in visit.rooms.initiatives.list(visit.actor)
        if one.id != but
    )


def records(visit: Visit, type_name: str) -> Linkable:
    """The records of a kind by their names."""
    found = visit.rooms.records.list(visit.actor, type_name)
    return _linkable((one.id, visit.wording.said(one.name)) for one in found)


def decisions(visit: Visit) -> list[tuple[str, str]]:
    """The committee's published decisions on budgets, for a list to choose from."""
    published = [
        (one["id"], name_of(one, visit.wording))
        for one in visit.rooms.broker.of_type(visit.actor, DECISION)
        if one["id"] == public_id(one["id"]) and word(one, "kind") in ("", "budget")
    ]
    return [(entity_id, label) for label, entity_id in _linkable(published).by_label.items()]


def voices(visit: Visit) -> Linkable:
    """What people reported, by the first words."""
    page = visit.rooms.reports.list(visit.actor, ReportQuery(limit=_REPORTS))
    pairs = [
        (one.id, " ".join(visit.wording.said(one.description).split())[:80] or one.id) for one in page.reports
    ]
    return _linkable(pairs)
