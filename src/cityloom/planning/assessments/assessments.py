"""Answers questionnaires: internal at first, every version kept, published when somebody decides so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.publishing import Publishing, new_working_id, public_id, working_id
from cityloom.context.reading import language_property, word
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.planning.assessments.evaluating import Answer, check_answers, evaluated
from cityloom.planning.assessments.model import (
    DECIDED_ON,
    TYPE,
    Assessment,
    Given,
    assessment_of,
)
from cityloom.planning.assessments.questionnaire import Questionnaire
from cityloom.planning.assessments.reading import Library

EDIT = "plan:edit"
#: Versions that are kept of one assessment.
MOST_VERSIONS = 200
LONGEST_NOTE = 2000


class Assessments:
    """Questionnaires and registers of the library, and what was answered. `clock` is the city's."""

    def __init__(self, broker: Broker, clock: Clock, library: Library) -> None:
        self._broker = broker
        self._clock = clock
        self._editing = Editing(broker)
        self._publishing = Publishing(broker, self._editing, "assessments")
        self._assessments = Summaries(broker, TYPE, assessment_of)
        self.library = library

    # -- asking --------------------------------------------------------------------------------------

    def questionnaire(self, name: str) -> Questionnaire:
        """A questionnaire by its id. Raises NotFound."""
        found = self.library.questionnaires.get(name)
        if found is None:
            hint = Worded("Choose one of the list.")
            raise NotFound(
                Worded("There is no questionnaire %(name)s", name=repr(name[:60])),
                hint=hint,
                where="questionnaire",
            )
        return found

    def get(self, actor: Actor, assessment_id: str) -> Assessment:
        """One assessment: for staff the working copy, for others what was published of it.

        Raises ResourceNotFound.
        """
        for one in (working_id(assessment_id), public_id(assessment_id)):
            document = self._broker.find(actor, one)
            found = assessment_of(document) if document and TYPE in document["type"] else None
            if found is not None:
                return found
        hint = Worded("List the assessments.")
        raise ResourceNotFound(
            Worded("There is no assessment %(assessment_id)s", assessment_id=assessment_id),
            hint=hint,
            where="id",
        )

    def list(self, actor: Actor, *, questionnaire: str = "", subject: str = "") -> Sequence[Assessment]:
        """Assessments the actor may see, the newest answers first; of working copy and copy only one."""
        found = [one for one in self._assessments.all(actor) if one is not None]
        ids = {one.id for one in found}
        chosen = [
            one
            for one in found
            if (not questionnaire or one.questionnaire == questionnaire)
            and (not subject or one.subject == subject)
            and (not one.is_published_copy or working_id(one.id) not in ids)
        ]
        return sorted(chosen, key=lambda one: one.newest.at, reverse=True)

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._assessments.read()

    def missing(self, actor: Actor, questionnaire: str, subject: str) -> tuple[str, ...]:
        """What a gate waits for: ids of the required checks that are not met, or all, where nobody answered.

        Raises NotFound.
        """
        asked = self.questionnaire(questionnaire)
        required = tuple(one.id for one in asked.questions if one.required)
        for one in self.list(actor, questionnaire=questionnaire, subject=subject):
            return one.newest.result.missing
        return required

    # -- acting: each needs plan:edit, and raises Conflict when `version` is not what is there --------------

    async def answer(
        self,
        actor: Actor,
        questionnaire: str,
        answers: Mapping[str, Answer],
        *,
        subject: str = "",
        note: str = "",
        origin: str = "entered",
    ) -> Assessment:
        """Answer a questionnaire about something, for the first time. Raises BadInput, NotFound."""
        require(actor, EDIT)
        asked = self.questionnaire(questionnaire)
        self._check_subject(actor, asked, subject)
        attributes: dict[str, Instance] = {
            "name": language_property(asked.title),
            "questionnaire": prop(asked.id),
            "status": prop("draft"),
            "dataOrigin": prop(origin),
            "versions": _kept([self._given(actor, asked, answers, note)]),
        }
        if subject:
            attributes["subject"] = rel(subject)
        document = entity(TYPE, new_working_id(TYPE), attributes)
        await self._publishing.draft(actor, document, "answer")
        return self.get(actor, document["id"])

    async def answer_again(
        self,
        actor: Actor,
        assessment_id: str,
        answers: Mapping[str, Answer],
        *,
        note: str = "",
        version: str = "",
    ) -> Assessment:
        """A new version of the answers; those before it stay to be seen."""
        asked = self.questionnaire(self._draft(actor, assessment_id).questionnaire)
        given = self._given(actor, asked, answers, note)

        def edits(found: Assessment) -> Edits:
            if len(found.versions) >= MOST_VERSIONS:
                hint = Worded("Begin another assessment.")
                raise BadInput(Worded("There are too many versions"), hint=hint, where="answers")
            return {"versions": _kept([*found.versions, given])}

        return await self._change(actor, assessment_id, version, "answer", edits)

    async def publish(self, actor: Actor, assessment_id: str, *, version: str = "") -> Assessment:
        """Show everybody the newest answers and their result, without evidence, notes and names."""
        found = self._draft(actor, assessment_id)
        check_version(version, found.document, DECIDED_ON)
        origin = word(found.document, "dataOrigin")
        await self._publishing.show(CITY, TYPE, public_id(found.id), self._public(found), origin=origin)
        at = prop(format_instant(self._clock.now()))
        edits: Edits = {"status": prop("published"), "publishedAt": at}
        return await self._change(actor, assessment_id, version, "publish", lambda _: edits)

    async def withdraw(self, actor: Actor, assessment_id: str) -> Assessment:
        """Take the public copy back; the working copy stays."""
        found = self._draft(actor, assessment_id)
        if not await self._publishing.hide(CITY, public_id(found.id)):
            raise Conflict(Worded("It is not published"), hint=Worded("Publish it first."), where="status")
        gone: Edits = {"status": prop("draft"), "publishedAt": None}
        return await self._change(actor, assessment_id, "", "withdraw", lambda _: gone)

    # -- inside --------------------------------------------------------------------------------------

    def _given(self, actor: Actor, asked: Questionnaire, answers: Mapping[str, Answer], note: str) -> Given:
        checked = check_answers(asked, answers)
        if not checked:
            raise BadInput(
                Worded("Nothing is answered"), hint=Worded("Answer one question at least."), where="answers"
            )
        return Given(
            at=format_instant(self._clock.now()),
            by=actor.id,
            digest=asked.digest(),
            answers=checked,
            result=evaluated(asked, checked),
            note=check_text(note, where="note", longest=LONGEST_NOTE, optional=True),
        )

    def _check_subject(self, actor: Actor, asked: Questionnaire, subject: str) -> None:
        document = self._broker.find(actor, subject) if subject else None
        if subject and document is None:
            raise BadInput(
                Worded("There is no such entity"), hint=Worded("Choose one of the list."), where="subject"
            )
        if document and asked.subjects and not set(asked.subjects) & set(document["type"]):
            hint = Worded("It is about one of: %(names)s.", names=", ".join(asked.subjects))
            raise BadInput(Worded("This questionnaire is not about that"), hint=hint, where="subject")

    def _draft(self, actor: Actor, assessment_id: str) -> Assessment:
        require(actor, EDIT)
        found = self.get(actor, assessment_id)
        if found.is_published_copy:
            raise ResourceNotFound(
                Worded("There is no working copy"), hint=Worded("List the assessments."), where="id"
            )
        return found

    def _public(self, found: Assessment) -> Edits:
        newest = found.newest
        bare = {name: Answer(one.value) for name, one in newest.answers.items()}
        shown = msgspec.structs.replace(newest, by="", note="", answers=bare)
        is_named = found.subject and self._publishing.is_open(found.subject)
        return {
            "name": language_property(self.questionnaire(found.questionnaire).title),
            "questionnaire": prop(found.questionnaire),
            "status": prop("published"),
            "publishedAt": prop(format_instant(self._clock.now())),
            "versions": _kept([shown]),
            "subject": rel(found.subject) if is_named else None,
        }

    async def _change(
        self,
        actor: Actor,
        assessment_id: str,
        version: str,
        did: str,
        decide: Callable[[Assessment], Edits],
    ) -> Assessment:
        found = self._draft(actor, assessment_id)

        def edits(document: Document) -> Edits:
            check_version(version, document, DECIDED_ON)
            standing = assessment_of(document)
            return decide(standing) if standing else {}

        await self._editing.edit(may_write(actor), found.id, edits, trace=f"assessments:{did}")
        return self.get(actor, found.id)


def _kept(versions: Sequence[Given]) -> Instance:
    return json_value(msgspec.to_builtins(list(versions)))
