"""A public-private partnership: who has which share and which risk, and what is paid each year. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.discounting import Convention, discounted, factors
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import apportioned, rounded

MOST_YEARS = 60


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner and its share of the capital, in percent."""

    name: str
    share: Decimal
    public: bool = False


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What may go wrong, who bears it, how likely it is (0.1 is 10 %), and what it would cost."""

    name: str
    owner: str
    likelihood: Decimal
    cost: Decimal
    mitigation: str = ""

    @property
    def expected(self) -> Decimal:
        return self.likelihood * self.cost


class Band(msgspec.Struct, frozen=True):
    """What each use costs up to so many a year; None: without end."""

    up_to: Decimal | None
    price: Decimal


class Period(msgspec.Struct, frozen=True):
    """What happened, or is expected, in a year: the share of time in which it was available, and uses."""

    year: int
    available: Decimal
    uses: Decimal = Decimal()


class Partnership(msgspec.Struct, frozen=True, kw_only=True):
    """The contract: payments for being available and for being used, and how they rise with prices."""

    currency: str
    capital: Decimal
    partners: tuple[Partner, ...]
    convention: Convention
    periods: tuple[Period, ...]
    risks: tuple[Risk, ...] = ()
    #: For a year in which it is available as agreed.
    availability_payment: Decimal = Decimal()
    #: What is agreed, and by how much of the payment each percentage point below it reduces it.
    agreed: Decimal = Decimal(1)
    deduction: Decimal = Decimal("0.02")
    bands: tuple[Band, ...] = ()
    indexation: Decimal = Decimal()
    #: What it would cost the public to build and run by itself, as a present value; None where not reckoned.
    by_itself: Decimal | None = None


class PaidYear(msgspec.Struct, frozen=True):
    """What is paid in a year."""

    period: Period
    availability: Decimal
    deducted: Decimal
    usage: Decimal

    @property
    def total(self) -> Decimal:
        return self.availability - self.deducted + self.usage


def paid(partnership: Partnership) -> tuple[PaidYear, ...]:
    """By year, in coins: the payment, less what is deducted, plus what use costs."""
    currency = partnership.currency
    found = []
    for place, period in enumerate(partnership.periods):
        index = (1 + partnership.indexation) ** place
        full = rounded(partnership.availability_payment * index, currency)
        points = max(Decimal(), (partnership.agreed - period.available) * 100)
        deducted = rounded(full * min(Decimal(1), points * partnership.deduction), currency)
        found.append(PaidYear(period, full, deducted, usage(partnership, period.uses, index)))
    return tuple(found)


def usage(partnership: Partnership, uses: Decimal, index: Decimal = Decimal(1)) -> Decimal:
    """What so many uses cost: each band at its price."""
    total, counted = Decimal(), Decimal()
    for band in partnership.bands:
        upper = uses if band.up_to is None else min(uses, band.up_to)
        total += max(Decimal(), upper - counted) * band.price
        counted = max(counted, upper)
    return rounded(total * index, partnership.currency)


def partnership_outcome(partnership: Partnership) -> Outcome:
    """Shares, risks and payments, and what the public pays in all."""
    check_partnership(partnership)
    years = paid(partnership)
    present = rounded(
        discounted([one.total for one in years], factors(partnership.convention, len(years))),
        partnership.currency,
    )
    public = {one.name for one in partnership.partners if one.public}
    retained = rounded(
        sum((one.expected for one in partnership.risks if one.owner in public), Decimal()),
        partnership.currency,
    )
    return Outcome(
        currency=partnership.currency,
        figures=(
            Figure("paid", Worded("Paid in all, undiscounted"), sum((one.total for one in years), Decimal())),
            Figure("present", Worded("Present value of the payments"), present),
            Figure("retained", Worded("Expected cost of the risks that the public keeps"), retained),
            Figure("all", Worded("Payments and kept risks"), present + retained),
            _compared(partnership, present + retained),
        ),
        tables=(
            _shares_table(partnership),
            _risk_table(partnership),
            _owners_table(partnership),
            _paid_table(years),
        ),
        drawings=(
            Bars(
                title=Worded("Payments by year"),
                table="payments",
                categories=tuple(str(one.period.year) for one in years),
                series=(
                    Series(
                        Worded("For being available"),
                        tuple(float(one.availability - one.deducted) for one in years),
                    ),
                    Series(Worded("For being used"), tuple(float(one.usage) for one in years)),
                ),
                stacked=True,
            ),
        ),
        notes=(
            Worded(
                "For each percentage point below what is agreed, %(deduction)s %% of the year's payment is "
                "deducted, at most all of it.",
                deduction=f"{float(partnership.deduction) * 100:g}",
            ),
            Worded("A risk's expected cost is its likelihood times its cost; risks are not discounted."),
            Worded("The first year of the payments is the base year of the present value."),
        ),
        warnings=tuple(_warnings(partnership, public)),
    )


def _compared(partnership: Partnership, all_in: Decimal) -> Figure:
    label = Worded("Cheaper than doing it alone by")
    if partnership.by_itself is None:
        return Figure("cheaper", label, None, note=Worded("What it would cost alone is not said."))
    return Figure("cheaper", label, partnership.by_itself - all_in)


def _shares_table(partnership: Partnership) -> Table:
    columns = (
        Column("partner", Worded("Partner")),
        Column("sector", Worded("Sector")),
        Column("share", Worded("Share"), Unit.SHARE),
        Column("capital", Worded("Capital brought in"), Unit.MONEY),
    )
    amounts = apportioned(
        partnership.capital, [one.share for one in partnership.partners], partnership.currency
    )
    rows = tuple(
        (one.name, Worded("public") if one.public else Worded("private"), float(one.share) / 100, amount)
        for one, amount in zip(partnership.partners, amounts, strict=True)
    )
    return Table(
        "shares", Worded("Partners"), columns, rows, (Worded("Sum"), None, 1.0, sum(amounts, Decimal()))
    )


def _risk_table(partnership: Partnership) -> Table:
    columns = (
        Column("risk", Worded("Risk")),
        Column("owner", Worded("Who bears it")),
        Column("likelihood", Worded("Likelihood"), Unit.SHARE),
        Column("cost", Worded("Cost if it happens"), Unit.MONEY),
        Column("expected", Worded("Expected cost"), Unit.MONEY),
        Column("mitigation", Worded("What is done about it")),
    )
    ordered = sorted(partnership.risks, key=lambda one: -one.expected)
    rows = tuple(
        (
            one.name,
            one.owner,
            float(one.likelihood),
            one.cost,
            rounded(one.expected, partnership.currency),
            one.mitigation,
        )
        for one in ordered
    )
    foot = (Worded("Sum"), None, None, None, sum((row[4] for row in rows), Decimal()), None)
    return Table("risks", Worded("Risks, the dearest first"), columns, rows, foot)


def _owners_table(partnership: Partnership) -> Table:
    columns = (
        Column("owner", Worded("Who bears it")),
        Column("risks", Worded("Risks"), Unit.NUMBER),
        Column("expected", Worded("Expected cost"), Unit.MONEY),
    )
    rows = []
    for owner in dict.fromkeys(one.owner for one in partnership.risks):
        own = [one for one in partnership.risks if one.owner == owner]
        expected = sum((rounded(one.expected, partnership.currency) for one in own), Decimal())
        rows.append((owner, len(own), expected))
    return Table("owners", Worded("Risks by who bears them"), columns, tuple(rows))


def _paid_table(years: tuple[PaidYear, ...]) -> Table:
    columns = (
        Column("year", Worded("Year"), Unit.YEAR),
        Column("available", Worded("Available"), Unit.SHARE),
        Column("uses", Worded("Uses"), Unit.NUMBER),
        Column("availability", Worded("For being available"), Unit.MONEY),
        Column("deducted", Worded("Deducted"), Unit.MONEY),
        Column("usage", Worded("For being used"), Unit.MONEY),
        Column("total", Worded("Paid"), Unit.MONEY),
    )
    rows = tuple(
        (
            one.period.year,
            float(one.period.available),
            float(one.period.uses),
            one.availability,
            one.deducted,
            one.usage,
            one.total,
        )
        for one in years
    )
    foot = (
        Worded("Sum"),
        None,
        float(sum((one.period.uses for one in years), Decimal())),
        sum((one.availability for one in years), Decimal()),
        sum((one.deducted for one in years), Decimal()),
        sum((one.usage for one in years), Decimal()),
        sum((one.total for one in years), Decimal()),
    )
    return Table("payments", Worded("Payments by year"), columns, rows, foot)


def _warnings(partnership: Partnership, public: set[str]) -> list[str]:
    said: list[str] = []
    names = {one.name for one in partnership.partners}
    strangers = sorted({one.owner for one in partnership.risks} - names)
    if strangers:
        said.append(Worded("These bear a risk and are no partners: %(names)s.", names=", ".join(strangers)))
    if partnership.risks and all(one.owner in public for one in partnership.risks):
        said.append(Worded("The public bears every risk."))
    if not public:
        said.append(Worded("No partner is public."))
    return said


def check_partnership(partnership: Partnership) -> None:
    """Raises BadInput naming what cannot be."""
    shares = [one.share for one in partnership.partners]
    if not shares or sum(shares) != 100 or min(shares) < 0:
        raise BadInput(
            Worded("The shares add up to %(sum)s %%", sum=sum(shares)),
            hint=Worded("Together the partners have 100 %%."),
            where="partners",
        )
    if not 1 <= len(partnership.periods) <= MOST_YEARS:
        hint = Worded("Give 1 to %(most)s years.", most=MOST_YEARS)
        raise BadInput(Worded("There are no years to pay for"), hint=hint, where="years")
    if any(not 0 <= one.available <= 1 or one.uses < 0 for one in partnership.periods):
        hint = Worded("Available is a share between 0 and 100 %%, uses are 0 or more.")
        raise BadInput(Worded("This is no year of a service"), hint=hint, where="years")
    if any(not 0 <= one.likelihood <= 1 or one.cost < 0 for one in partnership.risks):
        hint = Worded("A likelihood lies between 0 and 100 %%, and a cost is 0 or more.")
        raise BadInput(Worded("This is no risk"), hint=hint, where="risks")
    limits = [one.up_to for one in partnership.bands[:-1]]
    if None in limits or any(
        (here or Decimal()) >= (there or Decimal("Infinity"))
        for here, there in zip(limits, [one.up_to for one in partnership.bands[1:]], strict=True)
    ):
        hint = Worded("Each band ends higher than the one before; only the last may have no end.")
        raise BadInput(Worded("These bands overlap"), hint=hint, where="bands")
