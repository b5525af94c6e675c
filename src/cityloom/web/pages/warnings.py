"""Warnings that were sent: the inbox of those who are to confirm them, and who has not."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import NotFound
from cityloom.people.delivery import AWAITED, DELIVERY, Delivery, Status, delivery_of
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

HANDLE = "alerts:handle"
MOST = 100
_LEVELS = {
    Status.SENT: "info",
    Status.DELIVERED: "info",
    Status.CONFIRMED: "good",
    Status.UNCONFIRMED: "bad",
    Status.FAILED: "bad",
}


def add(pages: Pages) -> None:
    pages.get("/warnings", browse)
    pages.post("/warnings/code", confirm_by_code)
    pages.post("/warnings/{id:path}", confirm)


async def browse(visit: Visit) -> Response:
    """One's own warnings; those of everybody for staff; for a visitor the field for a code."""
    return _page(visit, Form(visit.language))


def _page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    found = [delivery_row(visit, one) for one in _seen(visit)]
    found.sort(key=lambda row: str(row["sentAt"]), reverse=True)
    found.sort(key=lambda row: not row["awaited"])
    data = {"warnings": found[:MOST], "total": len(found)}
    return visit.render("warnings.html", data, status=status, form=form, is_staff=visit.actor.may(HANDLE))


def _seen(visit: Visit) -> list[Delivery]:
    """What concerns the reader: everything for staff, what was sent to them for others."""
    ledger = visit.rooms.deliveries.ledger
    every = ledger.deliveries(visit.actor) if visit.actor.may(HANDLE) else ledger.inbox(visit.actor)
    return list(every)


def delivery_row(visit: Visit, delivery: Delivery) -> dict[str, Any]:
    """A delivery as it is listed."""
    status = Status(delivery.status) if delivery.status in list(Status) else Status.SENT
    ledger = visit.rooms.deliveries.ledger
    alarm, recipient = ledger.alarm(delivery.alert), ledger.recipient(delivery.recipient)
    is_over = alarm is None or alarm.is_over
    return {
        "id": delivery.id,
        "href": address("warnings", delivery.id),
        "alert": delivery.alert,
        "recipient": delivery.recipient,
        "recipientName": recipient.name,
        "phone": recipient.phone if visit.actor.may(HANDLE) else "",
        "alertHref": address("alerts", delivery.alert) if delivery.alert else "",
        "channel": delivery.channel,
        "severity": delivery.severity,
        "text": visit.wording.said(delivery.text),
        "status": status.value,
        "level": "none" if is_over and status is not Status.CONFIRMED else _LEVELS.get(status, "none"),
        "isOver": is_over,
        "awaited": not is_over and (status in AWAITED or status is Status.UNCONFIRMED),
        "sentAt": delivery.sent_at,
        "confirmUntil": delivery.confirm_until,
        "confirmedAt": delivery.confirmed_at,
        "escalatedAt": delivery.escalated_at,
    }


def count_unconfirmed(visit: Visit) -> int:
    """Warnings that nobody confirmed in time and that are not over."""
    ledger = visit.rooms.deliveries.ledger
    late = (one for one in ledger.deliveries(visit.actor) if one.status == Status.UNCONFIRMED)
    return sum((alarm := ledger.alarm(one.alert)) is not None and not alarm.is_over for one in late)


def deliveries_of(visit: Visit, alert_id: str) -> list[dict[str, Any]]:
    """Who was told of an alert, for its page; for staff alone."""
    if not visit.actor.may(HANDLE):
        return []
    broker = visit.rooms.broker
    found = (broker.find(visit.actor, one) for one in broker.referrers(visit.actor, alert_id))
    sent = [delivery_of(one) for one in found if one is not None and DELIVERY in one["type"]]
    return [delivery_row(visit, one) for one in sent]


async def confirm_by_code(visit: Visit) -> Response:
    """Whoever has the code of a warning says that they know."""
    form = await visit.form()
    code = form.text("code", required=visit.gettext("Type the code of the warning."), longest=40)
    if not form.errors:
        try:
            await visit.rooms.deliveries.confirm(code, address=visit.address)
        except NotFound:
            form.wrong("code", visit.gettext("This code confirms nothing."))
    if form.errors:
        return _page(visit, form, status=400)
    return visit.redirect("/warnings", visit.gettext("Thank you. The city knows that you know."))


async def confirm(visit: Visit) -> Response:
    """The recipient says that they know, or staff who reached them."""
    await visit.form()
    delivery = await visit.rooms.deliveries.confirm_as(visit.actor, visit.part("id"))
    staff = visit.actor.may(HANDLE) and delivery.alert
    told = visit.gettext("Confirmed.") if staff else visit.gettext("Thank you. The city knows that you know.")
    return visit.redirect(address("alerts", delivery.alert) if staff else "/warnings", told)
