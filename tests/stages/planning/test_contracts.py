"""Contracts paid on indicators: who may do what, what is sealed, what everybody sees."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from cityloom.access.authority import TERMINAL
from cityloom.adapters.memory.evidence import MemoryEvidenceStore
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.context.publishing import public_id
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.canonical import digest_of
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, json_value, prop, value_of
from cityloom.planning.contracts.contracts import Contracts
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.keeping import keep_close
from cityloom.planning.contracts.kept_readings import Proof, kept_of, with_kept
from cityloom.planning.contracts.parties import Parties
from cityloom.planning.contracts.settlements import Settlements
from cityloom.planning.contracts.statement import statement_of
from cityloom.planning.contracts.terms import Line, Terms, WithoutData

OPEN, INTERNAL, SECURITY = InformationClass
LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:lights"
JANUARY = "2026-01-01"


class Forgetful(MemoryHistory):
    """A store that can be told to make roll-ups of a time, and keeps no archive."""

    gone: tuple[int, int] | None = None

    def forget(self, since: datetime, until: datetime) -> None:
        self.gone = (to_millis(since), to_millis(until))

    def raw(self, window):
        found = super().raw(window)
        if self.gone is None:
            return found
        return found.taken(np.flatnonzero((found.at < self.gone[0]) | (found.at >= self.gone[1])))

    def rolled(self, window):
        if self.gone is None or window.since >= self.gone[1] or window.until <= self.gone[0]:
            return None
        return self.gone

    def tenants(self):
        return []

    def outgoing(self, due):
        return []

    def retire(self, due):
        return None

    def archived(self):
        return []


class Office:
    """The room of contracts over a city that remembers, with one person for each part."""

    def __init__(self, city, folder) -> None:
        self.city = city
        self.stage = HistoryStage(Forgetful(folder), pause=0)
        self.store = self.stage._store
        self.history = History(self.store, city.broker)
        self.evidence = MemoryEvidenceStore()
        city.broker.follow(STAGE, self.stage.handle, durable=True)
        self.writer = city.person("planner")
        self.second = city.person("planner", name="second")
        self.examiner = city.person("auditor")
        self.reviewer = city.person("auditor", name="reviewer")
        self.provider = city.person("provider", name="lys")
        self.rival = city.person("provider", name="rival")
        everybody = [self.writer, self.second, self.examiner, self.reviewer, self.provider, self.rival]
        self.people = {one.id: one for one in everybody}
        self.parties = Parties(city.broker, city.clock, self.people.get)
        self.contracts = Contracts(city.broker, city.clock, self.parties, self.people.get, zone=UTC)
        self.settlements = Settlements(
            city.broker,
            city.clock,
            self.history,
            self.contracts,
            self.evidence,
            remembered=self.remembered,
        )

    async def remembered(self) -> None:
        await self.stage.caught_up(self.city.broker.last_sequence)

    async def light_up(self, *values: float, first: date = date(2026, 1, 1)) -> None:
        """One value a day, stamped at the end of its day."""
        for day, value in enumerate(values):
            at = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=day + 1)
            shown = entity("KeyPerformanceIndicator", LIGHTS, {"kpiValue": prop(value, at=at, unit="P1")})
            await self.city.broker.append(CITY, LIGHTS, shown)

    def terms(self, **changes) -> Terms:
        line = Line(
            name={"en": "Lights in order"},
            about=LIGHTS,
            unit_code="P1",
            target=99.0,
            worst=89.0,
            expected=Decimal(80),
            price=Decimal("10000.00"),
            bonus=Decimal("1000.00"),
            malus=Decimal("2000.00"),
        )
        plain = Terms(
            name={"en": "Street lighting", "da": "Gadelys"},
            provider=self.party.id,
            examiner=self.examiner.id,
            currency="DKK",
            starts=date(2026, 1, 1),
            ends=date(2026, 7, 1),
            lines=(line,),
        )
        return msgspec.structs.replace(plain, **changes)

    async def concluded(self, **changes):
        drafted = await self.contracts.draft(self.writer, self.terms(**changes))
        return await self.contracts.conclude(self.second, drafted.id)

    async def settled(self, *values: float):
        await self.light_up(*(values or [98.0] * 31))
        contract = await self.concluded()
        return contract, await self.settlements.settle(self.examiner, contract.id, JANUARY)


@pytest.fixture
async def office(living_city, tmp_path):
    office = Office(living_city, tmp_path)
    office.party = await office.parties.add(
        office.writer, "Lys og Sti A/S", number="12345678", accounts=[office.provider.id]
    )
    office.other = await office.parties.add(office.writer, "Rival", accounts=[office.rival.id])
    shown = entity("KeyPerformanceIndicator", LIGHTS, {"name": prop("Lights in order")})
    await living_city.broker.create(CITY, shown, information_class=OPEN)
    return office


async def test_a_period_is_worked_out_sealed_and_shown(office):
    contract, settled = await office.settled()
    line = settled.statement.lines[0]
    assert (line.score, line.payable) == (Decimal("90.0000"), Decimal("10500.00"))
    assert (line.evidence.count, line.evidence.coverage, line.evidence.missing) == (31, 100, 0)
    assert settled.is_untouched
    assert (settled.outstanding, settled.status) == (Decimal("10500.00"), "settled")
    public = office.city.broker.find(ANONYMOUS, public_id(contract.id))
    assert value_of(public, "providerName") == "Lys og Sti A/S"
    assert value_of(public, "periods")[0]["payable"] == "10500.00"
    # Of what it is worked out from, and by whom, nothing is public.
    said = str(public)
    assert all(word not in said for word in ("person:", "bonus", "malus", "evidence", "12345678"))
    assert office.city.broker.find(ANONYMOUS, settled.id) is None
    assert office.city.broker.find(ANONYMOUS, contract.id) is None


async def test_who_wrote_a_contract_neither_concludes_nor_settles_it(office):
    await office.light_up(*[98.0] * 31)
    drafted = await office.contracts.draft(office.writer, office.terms())
    with pytest.raises(NotAllowed):
        await office.contracts.conclude(office.writer, drafted.id)
    both = msgspec.structs.replace(
        office.examiner, permissions=office.examiner.permissions | office.writer.permissions
    )
    office.people[both.id] = both
    written = await office.contracts.draft(both, office.terms())
    written = await office.contracts.conclude(office.second, written.id)
    with pytest.raises(NotAllowed):
        await office.settlements.settle(both, written.id, JANUARY)


async def test_only_the_examiner_that_the_contract_names_settles_it(office):
    await office.light_up(*[98.0] * 31)
    contract = await office.concluded()
    for other in (office.reviewer, office.second, office.provider, office.city.person("administrator")):
        with pytest.raises(NotAllowed):
            await office.settlements.settle(other, contract.id, JANUARY)


async def test_an_edit_makes_its_author_an_author(office):
    drafted = await office.contracts.draft(office.writer, office.terms())
    await office.contracts.edit(office.second, drafted.id, office.terms(dispute_days=7))
    with pytest.raises(NotAllowed):
        await office.contracts.conclude(office.second, drafted.id)
    assert (await office.contracts.conclude(office.examiner, drafted.id)).standing.dispute_days == 7


async def test_an_examiner_of_the_provider_is_refused(office):
    # The account examines for the city, and belongs to the party as well.
    double = msgspec.structs.replace(
        office.examiner, permissions=office.examiner.permissions | office.provider.permissions
    )
    office.people[double.id] = double
    await office.parties.change(office.writer, office.party.id, "Lys", accounts=[double.id])
    with pytest.raises(BadInput) as refused:
        await office.contracts.draft(office.writer, office.terms())
    assert refused.value.where == "examiner"
    with pytest.raises(BadInput):
        await office.contracts.draft(office.writer, office.terms(examiner=office.provider.id))
    with pytest.raises(BadInput):
        await office.contracts.draft(office.writer, office.terms(examiner=office.second.id))


async def test_an_examiner_who_joins_the_provider_settles_no_more(office):
    await office.light_up(*[98.0] * 31)
    contract = await office.concluded()
    double = msgspec.structs.replace(
        office.examiner, permissions=office.examiner.permissions | office.provider.permissions
    )
    office.people[double.id] = double
    await office.parties.change(office.writer, office.party.id, "Lys", accounts=[double.id])
    with pytest.raises(NotAllowed):
        await office.settlements.settle(double, contract.id, JANUARY)


async def test_the_provider_sees_its_own_contracts_and_writes_nothing(office):
    contract, settled = await office.settled()
    contracts, settlements, provider = office.contracts, office.settlements, office.provider
    assert [one.id for one in contracts.list(provider)] == [contract.id]
    assert settlements.get(provider, contract.id, JANUARY).statement == settled.statement
    attempts = [
        contracts.draft(provider, office.terms()),
        contracts.edit(provider, contract.id, office.terms()),
        contracts.conclude(provider, contract.id),
        contracts.discard(provider, contract.id),
        contracts.exclude(
            provider, contract.id, Exclusion("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "x", "y")
        ),
        contracts.confirm_exclusion(provider, contract.id, 0),
        contracts.drop_exclusion(provider, contract.id, 0),
        office.parties.undo(provider, office.party.id),
        settlements.settle(provider, contract.id, "2026-02-01"),
        settlements.decide(provider, contract.id, JANUARY, "stands", "because"),
        settlements.pay(provider, contract.id, JANUARY, Decimal(1), date(2026, 4, 1), "x"),
        office.parties.add(provider, "Another"),
        office.parties.change(provider, office.party.id, "Lys"),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            await attempt
    # Nothing else that is internal is theirs to see.
    broker = office.city.broker
    for internal in (contract.id, settled.id, office.party.id):
        assert broker.find(provider, internal) is None


async def test_another_provider_learns_of_nothing(office):
    contract, _ = await office.settled()
    assert office.contracts.list(office.rival) == []
    for attempt in (
        lambda: office.contracts.get(office.rival, contract.id),
        lambda: office.contracts.get(office.rival, public_id(contract.id)),
        lambda: office.settlements.get(office.rival, contract.id, JANUARY),
        lambda: office.settlements.of(office.rival, contract.id),
    ):
        with pytest.raises(NotFound) as refused:
            attempt()
        assert str(refused.value) == str(refused.value).replace("Street", "")
    with pytest.raises(CityError):
        await office.settlements.dispute(office.rival, contract.id, JANUARY, "Mine is better")
    assert office.settlements.payments(office.rival) == []
    with pytest.raises(NotFound):
        office.contracts.get(ANONYMOUS, contract.id)


async def test_a_provider_does_not_see_a_draft(office):
    drafted = await office.contracts.draft(office.writer, office.terms())
    with pytest.raises(NotFound):
        office.contracts.get(office.provider, drafted.id)


async def test_what_is_settled_is_settled_once_and_stays(office):
    contract, settled = await office.settled()
    with pytest.raises(Conflict):
        await office.settlements.settle(office.examiner, contract.id, JANUARY)
    # The terms cannot be turned against it, nor its time excluded.
    with pytest.raises(BadInput):
        await office.contracts.edit(office.writer, contract.id, office.terms(ends=date(2026, 2, 1)))
    await office.contracts.edit(
        office.writer,
        contract.id,
        office.terms(lines=(msgspec.structs.replace(office.terms().lines[0], price=Decimal(5000)),)),
    )
    amended = await office.contracts.conclude(office.second, contract.id)
    assert amended.versions[-1].since == date(2026, 5, 1)
    assert office.settlements.get(office.examiner, contract.id, JANUARY).statement == settled.statement
    february = await office.settlements.compute(office.examiner, contract.id, "2026-02-01")
    assert february.lines[0].price == Decimal("10000.00")
    with pytest.raises(Conflict):
        await office.contracts.exclude(
            office.examiner,
            contract.id,
            Exclusion("2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z", "Storm", "Council 7"),
            [("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")],
        )


async def test_a_settlement_that_was_tampered_with_is_told(office):
    contract, settled = await office.settled()
    forged = msgspec.to_builtins(settled.statement) | {"payable": "99999.00"}
    fragment = entity("ContractSettlement", settled.id, {"statement": prop(forged)})
    engineer = office.city.person("engineer")
    for stranger in (office.writer, office.examiner, office.provider, engineer, TERMINAL):
        with pytest.raises(CityError):
            await office.city.broker.update(stranger, settled.id, fragment)
    await office.city.broker.update(CITY, settled.id, fragment)
    assert not office.settlements.get(office.examiner, contract.id, JANUARY).is_untouched


async def test_later_readings_are_shown_and_not_applied(office):
    contract, settled = await office.settled()
    await office.light_up(89.0, first=date(2026, 1, 20))
    await office.remembered()
    (later,) = await office.settlements.later(office.provider, settled)
    assert later.days == ("2026-01-20",)
    assert later.payable_now < settled.statement.payable
    assert office.settlements.get(office.provider, contract.id, JANUARY).statement == settled.statement


async def test_what_was_settled_can_be_proved_when_history_has_let_its_readings_go(office):
    contract, settled = await office.settled()
    assert await office.settlements.proof(office.examiner, settled) is Proof.AGAIN
    table = await office.settlements.kept(office.provider, settled, 0)
    assert sha256(table).hexdigest() == kept_of(settled.statement)[0]
    assert table.decode().splitlines()[1].startswith("2026-01-02T00:00:00Z,98.0,P1,")
    office.store.forget(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC))
    assert await office.settlements.proof(office.examiner, settled) is Proof.AGAIN
    # Nothing has changed only because nothing is told by itself any more.
    assert await office.settlements.later(office.provider, settled) == ()
    await office.settlements.dispute(office.provider, contract.id, JANUARY, "A storm.")
    storm = Exclusion("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z", "Storm", "Council 7")
    decided = await office.settlements.decide(
        office.reviewer, contract.id, JANUARY, "recalculated", "There was one.", [storm]
    )
    assert (decided.final.lines[0].evidence.count, decided.final.lines[0].evidence.excluded) == (30, 1)
    assert await office.settlements.proof(office.examiner, decided) is Proof.AGAIN


async def test_readings_that_were_kept_and_changed_prove_nothing(office):
    _, settled = await office.settled()
    (digest,) = kept_of(settled.statement).values()
    kept = office.evidence._files[digest]
    office.evidence._files[digest] = kept.replace(b"98.0", b"99.0")
    assert await office.settlements.proof(office.examiner, settled) is Proof.OTHERWISE
    del office.evidence._files[digest]
    assert await office.settlements.proof(office.examiner, settled) is Proof.GONE
    with pytest.raises(Conflict):
        await office.settlements.kept(office.examiner, settled, 0)
    with pytest.raises(NotFound):
        await office.settlements.kept(office.rival, settled, 0)
    for place in (-1, 1):
        with pytest.raises(NotFound):
            await office.settlements.kept(office.examiner, settled, place)


async def test_a_period_whose_readings_are_roll_ups_is_not_settled_as_if_nothing_was_measured(office):
    await office.light_up(*[98.0] * 31)
    contract = await office.concluded()
    assert not await office.settlements.is_rolled_up(office.examiner, contract.id, JANUARY)
    office.store.forget(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC))
    assert await office.settlements.is_rolled_up(office.examiner, contract.id, JANUARY)
    with pytest.raises(Conflict) as refused:
        await office.settlements.settle(office.examiner, contract.id, JANUARY)
    assert refused.value.where == "lines.0.about"


async def test_a_seal_of_before_readings_were_kept_still_holds(office):
    contract, settled = await office.settled()
    before = with_kept(settled.statement, {})
    assert "kept" not in str(msgspec.to_builtins(before))
    parts = {"statement": json_value(msgspec.to_builtins(before)), "hash": prop(digest_of(before))}
    await office.city.broker.update(CITY, settled.id, entity("ContractSettlement", settled.id, parts))
    found = office.settlements.get(office.examiner, contract.id, JANUARY)
    assert found.is_untouched
    assert await office.settlements.proof(office.examiner, found) is Proof.NOT_KEPT


async def test_a_period_that_is_not_over_is_not_settled(office):
    contract = await office.concluded()
    with pytest.raises(Conflict):
        await office.settlements.settle(office.examiner, contract.id, "2026-04-01")
    with pytest.raises(NotFound):
        await office.settlements.settle(office.examiner, contract.id, "2026-04-02")
    drafted = await office.contracts.draft(office.writer, office.terms())
    with pytest.raises(Conflict):
        await office.settlements.settle(office.examiner, drafted.id, JANUARY)


async def test_a_dispute_is_decided_by_somebody_who_had_no_part(office):
    contract, settled = await office.settled(*[98.0] * 20, *[89.0] * 3, *[98.0] * 8)
    disputed = await office.settlements.dispute(
        office.provider, contract.id, JANUARY, "The storm was no fault of ours."
    )
    assert disputed.status == "disputed"
    with pytest.raises(Conflict):
        await office.settlements.dispute(office.provider, contract.id, JANUARY, "Once more")
    storm = Exclusion("2026-01-21T00:00:00Z", "2026-01-24T00:00:00Z", "Storm", "Council 7/2026")
    for partial in (office.examiner, office.provider):
        with pytest.raises(NotAllowed):
            await office.settlements.decide(partial, contract.id, JANUARY, "recalculated", "So", [storm])
    with pytest.raises(Conflict):
        await office.settlements.pay(office.second, contract.id, JANUARY, Decimal(1), date(2026, 4, 1), "x")
    decided = await office.settlements.decide(
        office.reviewer, contract.id, JANUARY, "recalculated", "The council had decided so.", [storm]
    )
    assert decided.status == "decided"
    assert decided.statement == settled.statement
    assert decided.final.payable == Decimal("10500.00") > settled.statement.payable
    assert decided.final.exclusions[0].by == office.reviewer.id
    assert decided.is_untouched
    with pytest.raises(Conflict):
        await office.settlements.decide(office.reviewer, contract.id, JANUARY, "stands", "Again")


async def test_a_reviewer_who_wrote_the_contract_is_refused(office):
    writing = msgspec.structs.replace(
        office.reviewer, permissions=office.reviewer.permissions | office.writer.permissions
    )
    office.people[writing.id] = writing
    await office.light_up(*[98.0] * 31)
    contract = await office.contracts.draft(writing, office.terms())
    await office.contracts.conclude(office.second, contract.id)
    await office.settlements.settle(office.examiner, contract.id, JANUARY)
    await office.settlements.dispute(office.provider, contract.id, JANUARY, "No")
    with pytest.raises(NotAllowed):
        await office.settlements.decide(writing, contract.id, JANUARY, "stands", "It does")


async def test_a_dispute_comes_in_time(office):
    contract, _ = await office.settled()
    office.city.clock.pass_by(days=31)
    with pytest.raises(Conflict):
        await office.settlements.dispute(office.provider, contract.id, JANUARY, "Too late")


async def test_what_is_owed_is_paid_to_the_cent_and_not_beyond(office):
    contract, settled = await office.settled()
    pay = office.settlements.pay
    day = date(2026, 4, 20)
    with pytest.raises(NotAllowed):
        await pay(office.examiner, contract.id, JANUARY, Decimal("10500.00"), day, "A1")
    for wrong in ("10500.01", "0", "0.001"):
        with pytest.raises(BadInput):
            await pay(office.second, contract.id, JANUARY, Decimal(wrong), day, "A1")
    await pay(office.second, contract.id, JANUARY, Decimal("10000.00"), day, "A1")
    paid = await pay(office.second, contract.id, JANUARY, Decimal("500.00"), day, "A2")
    assert (paid.outstanding, paid.paid) == (0, settled.statement.payable)
    with pytest.raises(BadInput):
        await pay(office.second, contract.id, JANUARY, Decimal("0.01"), day, "A3")
    public = office.city.broker.find(ANONYMOUS, public_id(contract.id))
    assert value_of(public, "amountPaid") == {"amount": "10500.00", "currency": "DKK"}


@pytest.mark.parametrize("lost", ["create", "update"])
async def test_what_a_kill_kept_from_everybody_is_shown_at_the_next_start(office, monkeypatch, lost):
    """The process ends after what was decided was written, and before everybody sees it."""

    async def killed(*_, **__):
        raise KeyboardInterrupt

    broker = office.city.broker
    if lost == "create":
        contract = await office.contracts.draft(office.writer, office.terms())
        with monkeypatch.context() as end:
            end.setattr(office.contracts.public, "show", killed)
            with pytest.raises(KeyboardInterrupt):
                await office.contracts.conclude(office.second, contract.id)
        assert broker.find(ANONYMOUS, public_id(contract.id)) is None
    else:
        contract, _ = await office.settled()
        day = date(2026, 2, 3)
        with monkeypatch.context() as end:
            end.setattr(office.contracts.public, "show", killed)
            with pytest.raises(KeyboardInterrupt):
                await office.settlements.pay(office.second, contract.id, JANUARY, Decimal(9), day, "A1")
    again = Contracts(broker, office.city.clock, office.parties, office.people.get, zone=UTC)
    await again.resume()
    public = broker.find(ANONYMOUS, public_id(contract.id))
    assert value_of(public, "amountPaid")["amount"] == {"create": "0", "update": "9.00"}[lost]
    assert len(value_of(public, "periods")) == {"create": 0, "update": 1}[lost]
    last = broker.last_sequence
    await again.resume()
    assert broker.last_sequence == last, "nothing is written where all is seen"


async def test_excluded_time_counts_neither_way(office):
    await office.light_up(*[98.0] * 20, *[89.0] * 3, *[98.0] * 8)
    contract = await office.concluded()
    before = await office.settlements.compute(office.examiner, contract.id, JANUARY)
    await office.contracts.exclude(
        office.examiner,
        contract.id,
        Exclusion("2026-01-21T00:00:00Z", "2026-01-24T00:00:00Z", "Storm", "Council 7/2026"),
    )
    await office.remembered()
    waiting = await office.settlements.compute(office.examiner, contract.id, JANUARY)
    assert (waiting.lines[0].evidence.excluded, waiting.score) == (0, before.score)
    await office.contracts.confirm_exclusion(office.reviewer, contract.id, 0)
    after = await office.settlements.compute(office.examiner, contract.id, JANUARY)
    assert after.lines[0].evidence.excluded == 3
    assert after.score == 90 > (before.score or 0)
    with pytest.raises(BadInput):
        await office.contracts.exclude(
            office.examiner,
            contract.id,
            Exclusion("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "Storm", " "),
        )


async def test_what_is_of_the_security_class_decides_about_no_money(office):
    secret = entity("KeyPerformanceIndicator", f"{LIGHTS}:s", {"kpiValue": prop(1.0)})
    await office.city.broker.create(CITY, secret, information_class=SECURITY)
    line = msgspec.structs.replace(office.terms().lines[0], about=f"{LIGHTS}:s")
    with pytest.raises(BadInput):
        await office.contracts.draft(office.writer, office.terms(lines=(line,)))
    cleared = msgspec.structs.replace(office.writer, clearance=frozenset(InformationClass))
    with pytest.raises(BadInput):
        await office.contracts.draft(cleared, office.terms(lines=(line,)))
    # One that becomes secret later is read no more.
    contract = await office.concluded()
    await office.light_up(*[98.0] * 31)
    await office.city.broker.classify(CITY, LIGHTS, SECURITY)
    await office.remembered()
    found = await office.settlements.compute(office.examiner, contract.id, JANUARY)
    assert found.lines[0].evidence.count == 0


async def test_without_data_the_price_waits(office):
    contract = await office.concluded()
    settled = await office.settlements.settle(office.examiner, contract.id, JANUARY)
    assert (settled.statement.held, settled.outstanding) == (Decimal("10000.00"), 0)
    line = msgspec.structs.replace(office.terms().lines[0], without_data=WithoutData.WORST)
    strict = await office.concluded(lines=(line,))
    worst = await office.settlements.settle(office.examiner, strict.id, JANUARY)
    assert worst.statement.payable == Decimal("8000.00")


async def test_accounts_of_a_party_are_those_of_providers(office):
    with pytest.raises(BadInput):
        await office.parties.add(office.writer, "Sly", accounts=[office.examiner.id])
    with pytest.raises(BadInput):
        await office.parties.add(office.writer, "Sly", accounts=["nobody"])


async def test_what_an_indicator_pays_is_found_from_it(office):
    contract = await office.concluded()
    assert [one.id for one in office.contracts.about(office.examiner, LIGHTS)] == [contract.id]
    assert office.contracts.about(office.rival, LIGHTS) == []


async def test_what_others_write_under_the_id_of_a_settlement_is_none(office):
    contract, settled = await office.settled()
    february = settled.id.replace("2026-01-01", "2026-02-01")
    attributes = settled.document["attrs"]
    said = {name: items[0] for name, items in attributes.items() if name != "because"}
    # Nobody but the city itself gets so far.
    with pytest.raises(NotAllowed):
        await office.city.broker.create(office.city.person("administrator"), entity("Thing", february, said))
    await office.city.broker.create(CITY, entity("Thing", february, said), information_class=INTERNAL)
    with pytest.raises(NotFound):
        office.settlements.get(office.examiner, contract.id, "2026-02-01")
    with pytest.raises(NotFound):
        await office.settlements.pay(
            office.second, contract.id, "2026-02-01", Decimal(1), date(2026, 4, 1), "x"
        )


STORM = Exclusion("2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z", "Storm", "Council 7")


async def test_a_second_person_who_may_examine_confirms_what_does_not_count(office):
    contract = await office.concluded()
    contracts = office.contracts
    forged = msgspec.structs.replace(STORM, confirmed_by=office.reviewer.id, by="somebody")
    proposed = await contracts.exclude(office.examiner, contract.id, forged)
    assert (proposed.exclusions[0].by, proposed.excluded) == (office.examiner.id, ())
    for who in (office.examiner, office.second, office.provider):
        with pytest.raises(NotAllowed):
            await contracts.confirm_exclusion(who, contract.id, 0)
    for place in (-1, 1):
        with pytest.raises(Conflict, match="Nothing waits"):
            await contracts.confirm_exclusion(office.reviewer, contract.id, place)
    with pytest.raises(Conflict, match="has been settled"):
        january = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
        await contracts.confirm_exclusion(office.reviewer, contract.id, 0, [january])
    confirmed = await contracts.confirm_exclusion(office.reviewer, contract.id, 0, version=proposed.version)
    assert confirmed.excluded[0].confirmed_by == office.reviewer.id
    assert [(one.did, one.by) for one in confirmed.history[-2:]] == [
        ("exclusionProposed", office.examiner.id),
        ("excluded", office.reviewer.id),
    ]
    with pytest.raises(Conflict, match="Nothing waits"):
        await contracts.drop_exclusion(office.second, contract.id, 0)
    await contracts.exclude(office.writer, contract.id, STORM)
    dropped = await contracts.drop_exclusion(office.examiner, contract.id, 1)
    assert (dropped.exclusions, dropped.history[-1].did) == (confirmed.exclusions, "exclusionDropped")


async def test_a_period_of_which_time_is_proposed_not_to_count_is_not_settled(office):
    await office.light_up(*[98.0] * 31)
    contract = await office.concluded()
    await office.contracts.exclude(office.writer, contract.id, STORM)
    with pytest.raises(Conflict, match="proposed not to count"):
        await office.settlements.settle(office.examiner, contract.id, JANUARY)
    await office.contracts.drop_exclusion(office.examiner, contract.id, 0)
    settled = await office.settlements.settle(office.examiner, contract.id, JANUARY)
    assert settled.statement.exclusions == ()


async def test_a_seal_from_before_exclusions_had_a_second_person_is_whole():
    said = msgspec.json.encode(Exclusion("a", "b", "c", "d", by="x", at="y"))
    assert said == b'{"since":"a","until":"b","reason":"c","decision":"d","by":"x","at":"y"}'


async def test_who_a_party_is_is_kept_with_who_changed_it_why_and_can_be_brought_back(office):
    lys = office.party
    changed = await office.parties.change(
        office.second, lys.id, "Lys", accounts=[office.rival.id], note="Bought", version=lys.version
    )
    assert office.parties.is_tied(office.rival.id, lys.id)
    assert [(one.did, one.by, one.note) for one in changed.history] == [
        ("drafted", office.writer.id, ""),
        ("edited", office.second.id, "Bought"),
    ]
    with pytest.raises(Conflict):
        await office.parties.undo(office.writer, lys.id, version=lys.version)
    back = await office.parties.undo(office.writer, lys.id)
    assert (back.name, back.number, back.accounts) == (lys.name, lys.number, lys.accounts)
    assert back.history[-1].did == "undone"
    with pytest.raises(Conflict, match="no version before"):
        await office.parties.undo(office.writer, lys.id)
    await office.parties.change(office.writer, lys.id, "Lys")
    del office.people[office.provider.id]
    with pytest.raises(BadInput):
        await office.parties.undo(office.writer, lys.id)


async def test_nobody_reads_a_contract_over_ngsi_ld_who_has_no_part_in_it(office):
    contract, settled = await office.settled()
    broker = office.city.broker
    for role in ("operator", "engineer", "planner", "auditor", "committee"):
        reader = office.city.person(role)
        for one in (contract.id, settled.id, office.party.id):
            assert broker.find(reader, one) is None, (role, one)
    assert office.contracts.get(office.second, contract.id).terms == contract.terms
    with pytest.raises(NotFound):
        office.contracts.get(office.city.person("operator"), contract.id)


async def test_what_was_internal_before_is_brought_into_its_class(office):
    contract, settled = await office.settled()
    broker = office.city.broker
    for one in (contract.id, settled.id, office.party.id):
        await broker.classify(CITY, one, INTERNAL)
    assert await keep_close(broker) == 3
    assert await keep_close(broker) == 0
    assert all(broker.class_of(CITY, one) is SECURITY for one in (contract.id, settled.id, office.party.id))
    assert broker.class_of(CITY, public_id(contract.id)) is OPEN


async def test_who_excluded_time_does_not_decide_a_dispute_about_it(office):
    await office.light_up(*[98.0] * 31)
    contract = await office.concluded()
    await office.contracts.exclude(office.writer, contract.id, STORM)
    await office.contracts.confirm_exclusion(office.reviewer, contract.id, 0)
    await office.settlements.settle(office.examiner, contract.id, JANUARY)
    await office.settlements.dispute(office.provider, contract.id, JANUARY, "There was no storm.")
    with pytest.raises(NotAllowed):
        await office.settlements.decide(office.reviewer, contract.id, JANUARY, "stands", "There was one.")


async def test_a_period_is_worked_out_beside_the_event_loop(office, monkeypatch):
    contract = await office.concluded()
    threads = []

    def watched(*args, **named):
        threads.append(threading.current_thread())
        return statement_of(*args, **named)

    monkeypatch.setattr("cityloom.planning.contracts.working_out.statement_of", watched)
    await office.settlements.compute(office.provider, contract.id, JANUARY)
    assert len(threads) == 1 and threads[0] is not threading.current_thread()
