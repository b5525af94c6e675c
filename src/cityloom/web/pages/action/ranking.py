"""Which initiatives are worth doing first, with weights that the reader sets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from cityloom.indicators.exchange.spreadsheet import Cell
from cityloom.planning.action.ranking import QUICK_DAYS, Candidate, Ranked, Ranking, Weights, rank
from cityloom.planning.model import Initiative, Phase
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.languages import noted as n
from cityloom.web.pages.action.files import table_to_keep
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

PAGE = 50
MOST_LEFT_OUT = 25
WEIGHTS = {
    "value": n("Value to people"),
    "cost": n("Low cost"),
    "time": n("Short time"),
    "effort": n("Little work for the city"),
}


def add(pages: Pages) -> None:
    pages.get("/plan/action/ranking", show, pdf=True)
    pages.data("/plan/action/ranking.csv", table)
    pages.data("/plan/action/ranking.xlsx", table)


def _weights(visit: Visit) -> tuple[Weights, Form]:
    """The weights of the address, where they are any, and the form that shows them."""
    usual = Weights()
    found: dict[str, float] = {}
    for name in WEIGHTS:
        try:
            said = float(visit.query(name).replace(",", ".") or getattr(usual, name))
        except ValueError:
            said = getattr(usual, name)
        found[name] = min(max(said, 0.0), 1000.0) if said == said else getattr(usual, name)
    weights = Weights(**found) if sum(found.values()) else usual
    days = str(visit.whole("quickDays", QUICK_DAYS, least=1, most=36500))
    shown = {name: f"{getattr(weights, name):g}" for name in WEIGHTS}
    return weights, Form.filled(visit.language, {**shown, "quickDays": days})


async def _ranking(visit: Visit) -> tuple[Ranking, Mapping[str, Initiative], Form]:
    weights, form = _weights(visit)
    phase = visit.query("phase")
    found = {
        one.id: one
        for one in visit.rooms.initiatives.list(visit.actor, phase=phase if phase in list(Phase) else "")
        if phase or one.phase != Phase.DONE
    }
    days = int(form.value("quickDays"))
    ranked = await asyncio.to_thread(
        lambda: rank([_candidate(one) for one in found.values()], weights, quick_days=days)
    )
    return ranked, found, form


def _candidate(one: Initiative) -> Candidate:
    plan = one.plan
    days = (plan.ends_at - plan.starts_at).days if plan.starts_at and plan.ends_at else None
    return Candidate(
        id=one.id, value=plan.action.value, cost=plan.budget, days=days, effort=plan.action.effort
    )


async def show(visit: Visit) -> Response:
    """The initiatives by their score; quick wins marked."""
    found, by_id, form = await _ranking(visit)
    only_quick = bool(visit.query("quick"))
    chosen = [one for one in found.ranked if one.is_quick_win or not only_quick]
    offset = visit.whole("offset", 0)
    data = {
        "weights": {name: float(form.value(name)) for name in WEIGHTS},
        "quickDays": int(form.value("quickDays")),
        "total": len(chosen),
        "quickWins": sum(one.is_quick_win for one in found.ranked),
        "ranked": [_row(visit, one, by_id) for one in chosen[offset : offset + PAGE]],
        "leftOut": len(found.left_out),
    }
    names = (*WEIGHTS, "quickDays", "phase", "quick")
    query = urlencode({name: visit.query(name) for name in names if visit.query(name)}) + "&"
    return visit.render(
        "plan-ranking.html",
        data,
        form=form,
        weight_words=WEIGHTS,
        left_out=[_lacking(visit, one, by_id) for one in found.left_out[:MOST_LEFT_OUT]],
        phases=[one.value for one in Phase],
        phase=visit.query("phase"),
        only_quick=only_quick,
        offset=offset,
        limit=PAGE,
        query=query,
    )


def _row(visit: Visit, one: Ranked, by_id: Mapping[str, Initiative]) -> dict[str, Any]:
    candidate = one.candidate
    return {
        "place": one.place,
        "id": candidate.id,
        "href": address("initiatives", candidate.id),
        "name": visit.wording.said(by_id[candidate.id].plan.name),
        "phase": by_id[candidate.id].phase,
        "score": one.score,
        "value": candidate.value,
        "cost": candidate.cost,
        "days": candidate.days,
        "effort": candidate.effort,
        "parts": dict(zip(WEIGHTS, one.parts, strict=True)),
        "isQuickWin": one.is_quick_win,
    }


def _lacking(visit: Visit, one: Candidate, by_id: Mapping[str, Initiative]) -> tuple[str, str, list[str]]:
    said = {"value": one.value, "cost": one.cost, "time": one.days}
    words = {"value": n("value"), "cost": n("cost"), "time": n("time")}
    lacking = [visit.gettext(words[name]) for name, value in said.items() if value is None]
    return address("initiatives", one.id), visit.wording.said(by_id[one.id].plan.name), lacking


async def table(visit: Visit) -> Response:
    """The whole ranking as a table."""
    found, by_id, _ = await _ranking(visit)
    return await asyncio.to_thread(lambda: table_to_keep(visit, "ranking", _rows(visit, found, by_id)))


def _rows(visit: Visit, found: Ranking, by_id: Mapping[str, Initiative]) -> list[Sequence[Cell]]:
    rows: list[Sequence[Cell]] = [
        ("place", "id", "name", "score", "value", "cost", "currency", "days", "effort", "quickWin")
    ]
    for one in found.ranked:
        said = _row(visit, one, by_id)
        cost = one.candidate.cost
        money = (cost.amount, cost.currency) if cost else (None, None)
        head = (said["place"], said["id"], said["name"], said["score"], said["value"])
        rows.append((*head, *money, said["days"], said["effort"], "yes" if one.is_quick_win else "no"))
    return rows
