"""A printer that keeps what it was to print."""

from __future__ import annotations

from cityloom.web.printing import Sheet


class MemoryPrinter:
    """A `web.printing.Printer` without paper."""

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []

    async def pdf(self, sheet: Sheet) -> bytes:
        """Keep the sheet; what is told is no more than that it is one."""
        self.sheets.append(sheet)
        return b"%PDF-1.7\n"
