"""What a reader chooses for themselves (language, colours), and the hand on the city's clock."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import format_instant
from cityloom.web.addresses import safe_path
from cityloom.web.forms import Form
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import LANGUAGE_COOKIE, PACE_PERMISSIONS, THEME_COOKIE, THEMES, Visit


def add(pages: Pages) -> None:
    pages.get("/language", show_languages, json=False)
    pages.post("/language", choose_language)
    pages.post("/theme", choose_theme)
    pages.post("/pace", set_pace)
    pages.data("/clock.json", clock)


async def show_languages(visit: Visit) -> Response:
    """Choose the language without JavaScript."""
    return visit.render("language.html", {"languages": visit.desk.languages})


async def choose_language(visit: Visit) -> Response:
    """Keep the language chosen, for a year."""
    form = await visit.form()
    if chosen := form.choice("language", visit.desk.languages):
        visit.keep(LANGUAGE_COOKIE, chosen)
    return visit.redirect(_came_from(visit))


async def choose_theme(visit: Visit) -> Response:
    """Keep light, dark, or as the system has it, for a year."""
    form = await visit.form()
    visit.keep(THEME_COOKIE, form.choice("theme", list(THEMES)))
    return visit.redirect(_came_from(visit))


async def set_pace(visit: Visit) -> Response:
    """Stop, go on, or change the speed of a demo city's time."""
    form = await visit.form()
    visit.require(*PACE_PERMISSIONS)
    pace = visit.rooms.pace
    if pace is None:
        raise NotReady("This city lives in the present", hint="Its clock is nobody's to turn.")
    acts = ["pause", "resume", "speed"]
    act = form.choice("act", acts, required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    if act == "pause":
        pace.pause()
    elif act == "resume":
        pace.resume()
    else:
        pace.set_speed(_speed(visit, form))
    await visit.rooms.audit.record(
        visit.actor, "clock.set", "city", {"paused": pace.paused, "speed": pace.speed}
    )
    return visit.redirect(_came_from(visit))


def _speed(visit: Visit, form: Form) -> float:
    """Whether the city can keep it is the clock's to say."""
    speed = form.number("speed", required=visit.gettext("Enter a number."))
    form.raise_if_wrong()
    return speed or 0.0


async def clock(visit: Visit) -> Response:
    """The city's time, for pages that follow nothing else."""
    pace = visit.rooms.pace
    return visit.json(
        {
            "now": format_instant(visit.rooms.clock.now()),
            "speed": pace.speed if pace else 1.0,
            "paused": pace.paused if pace else False,
            "zone": visit.city.zone.key,
        }
    )


def _came_from(visit: Visit) -> str:
    """The page on which the button was pressed. Its address is checked to be of this site."""
    came = urlsplit(visit.request.headers.get("referer", ""))
    if came.netloc != visit.request.headers.get("host"):
        return "/"
    return safe_path(came.path + (f"?{came.query}" if came.query else ""))
