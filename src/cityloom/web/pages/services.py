"""How the city services and the connectors are doing, and the switches for them."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.web.pages.routing import Pages
from cityloom.web.reasons import provenance_rows
from cityloom.web.visit import SEE_SERVICES, Visit


def add(pages: Pages) -> None:
    pages.get("/services", browse)
    pages.post("/services/{id}", handle_service)
    pages.post("/connectors/{id}", handle_connector)


async def browse(visit: Visit) -> Response:
    """Services, connectors, and the stages that follow the feed."""
    visit.require(*SEE_SERVICES)
    data = {
        "services": visit.rooms.services.status(),
        "connectors": visit.rooms.connectors.statuses(),
    }
    return visit.render(
        "services.html",
        data,
        may_manage=visit.actor.may("services:manage"),
        provenance=lambda one: provenance_rows(one.provenance, visit.wording),
        may_connect=visit.actor.may("connectors:manage"),
    )


async def handle_service(visit: Visit) -> Response:
    """Let a service decide now, or take it out of the park."""
    form = await visit.form()
    visit.require("services:manage")
    act = form.choice("act", ["run", "resume"], required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    host, name = visit.rooms.services, visit.part("id")
    await visit.rooms.audit.record(visit.actor, f"service.{act}", name)
    status = await (host.run_now if act == "run" else host.resume)(visit.actor, name)
    if status.error:
        return visit.redirect("/services", visit.gettext("It failed: %(error)s", error=status.error))
    told = visit.ngettext("It ran and said %(num)s fact.", "It ran and said %(num)s facts.", status.facts)
    return visit.redirect("/services", told)


async def handle_connector(visit: Visit) -> Response:
    """Start, stop or restart a connector."""
    form = await visit.form()
    visit.require("connectors:manage")
    act = form.choice("act", ["start", "stop", "restart"], required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    host, name = visit.rooms.connectors, visit.part("id")
    await visit.rooms.audit.record(visit.actor, f"connector.{act}", name)
    if act == "start":
        await host.start_one(visit.actor, name)
    elif act == "stop":
        await host.stop_one(visit.actor, name)
    else:
        await host.restart(visit.actor, name)
    undo = {"stop": {"act": "start"}, "start": {"act": "stop"}}.get(act)
    return visit.redirect(
        "/services", visit.gettext("Done."), undo=(f"/connectors/{name}", undo) if undo else None
    )
