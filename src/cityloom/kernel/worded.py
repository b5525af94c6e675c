"""Texts for people that rooms make: English, and such that a page can say them in its reader's language."""

from __future__ import annotations


class Worded(str):
    """An English text of a template and its values: Worded("%(count)s are the most.", count=3).

    It is the text itself wherever one is asked for; `template` is what catalogs of translations know.
    """

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Worded:
        text = super().__new__(cls, template % values)
        text.template, text.values = template, values
        return text
