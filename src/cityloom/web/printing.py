"""Pages on paper: a page as PDF, set by whatever the city has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from cityloom.kernel.errors import CityError


class CannotPrint(CityError):
    """The operator must install what sets pages as PDF."""


class TooLongToPrint(CityError):
    """The asker must ask for less: the page needs more time or memory than one may take."""


class Sheet(msgspec.Struct, frozen=True):
    """A page to be printed."""

    #: The whole document.
    html: str
    #: The page's own address: links of the document are made absolute with it.
    address: str
    #: The texts of what the document may ask for, by path.
    files: Mapping[str, str]
    #: Rules for the SVG drawings in it.
    drawing_style: str


class Printer(Protocol):
    """Sets HTML as PDF."""

    async def pdf(self, sheet: Sheet) -> bytes:
        """An accessible PDF (PDF/UA-1). Raises CannotPrint, TooLongToPrint; NotReady when many print."""
        ...


class NoPrinter:
    """Of a city that has nothing to set PDFs with."""

    async def pdf(self, _sheet: Sheet) -> bytes:
        """Raises CannotPrint; see `Printer`."""
        raise CannotPrint(
            "This city makes no PDF", hint="Print the page from the browser, or ask its operator."
        )
