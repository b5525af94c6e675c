"""The forms of a guide: boxes whose lines are typed into the fields of a page by their names."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_FIELD = re.compile(r'<label for="field-([^"]+)">(.*?)</label>', re.S)
_OPTION = re.compile(r'<option value="([^"]*)"[^>]*>(.*?)</option>', re.S)

Lines = list[list[str]]


def forms(guide: str) -> Iterator[tuple[str, Lines]]:
    """Each form of a guide: its name, and what is typed into which field."""
    for name, lines in re.findall(r"^```form ([^\n]+)\n(.*?)^```", guide, re.M | re.S):
        yield name, [line.split(": ", 1) for line in lines.splitlines()]


def addresses(guide: str) -> list[str]:
    """The addresses that a guide says are there."""
    return [
        path
        for block in re.findall(r"^```addresses\n(.*?)^```", guide, re.M | re.S)
        for path in block.split()
    ]


def plain(markup: str) -> str:
    """What a reader sees."""
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).replace("(optional)", "").strip()


def typed(page: str, wanted: Lines) -> dict[str, str]:
    """The fields of a page filled in: of several of one name, the next one that lies behind the last."""
    fields = [(found.start(), found[1], plain(found[2])) for found in _FIELD.finditer(page)]
    values: dict[str, str] = {}
    after = 0
    for label, value in wanted:
        place, name = next((place, name) for place, name, said in fields if said == label and place >= after)
        after = place
        choices = re.search(rf'<select id="field-{re.escape(name)}".*?</select>', page, re.S)
        if choices:
            options = {plain(words): code for code, words in _OPTION.findall(choices[0])}
            # An indicator is offered with its code and unit behind its name.
            value = next(code for words, code in options.items() if words.startswith(value))
        values[name] = value
    return values


def standing(page: str) -> dict[str, str]:
    """What a form holds as it is shown, as a browser would send it."""
    values = {}
    for tag in re.findall(r"<input[^>]*>", page):
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if said.get("name") and said.get("type") not in ("hidden", "checkbox", "radio", "file", "search"):
            values[said["name"]] = html.unescape(said.get("value", ""))
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', page, re.S):
        values[name] = html.unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        values[name] = html.unescape(chosen[1]) if chosen else ""
    return values
