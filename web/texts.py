"""Brings the catalogs of texts up to date with the sources: python web/texts.py [LANGUAGE]

Reads every text for people out of src/cityloom (web/babel.cfg says where), merges it into each catalog under
locale/, and names what is not translated yet: it fails then. A LANGUAGE that has no catalog gets one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "src" / "cityloom" / "web" / "locale"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "_say": None,
    "say": None,
    "n": None,
    "noted": None,
    "ns": (1, 2),
    "noted_plural": (1, 2),
    "Worded": None,
}
SOURCE = "en"
#: Without dates and names, so that a catalog changes only when a text does.
HEAD = """\
# Texts of CityLoom's pages, {name}.
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def main(arguments: list[str]) -> int:
    template, whole = extract(), True
    for code in sorted({path.name for path in LOCALE.iterdir() if path.is_dir()} | set(arguments)):
        missing = update(code, template)
        whole = whole and not missing
        sys.stdout.write(f"{code}: {len(template)} texts, {len(missing)} not translated\n")
        for text in missing:
            sys.stdout.write(f"  {text}\n")
    return 0 if whole else 1


def extract() -> Catalog:
    """All texts of the sources."""
    catalog = Catalog(project="CityLoom", version="", charset="utf-8")
    with (ROOT / "web" / "babel.cfg").open() as config:
        methods, options = parse_mapping_cfg(config)
    found = extract_from_dir(
        ROOT, method_map=methods, options_map=options, keywords=KEYWORDS, comment_tags=()
    )
    for name, _, message, _, context in sorted(found, key=lambda row: (row[0], row[1])):
        catalog.add(message, locations=[(name, 0)], context=context)
    return catalog


def update(code: str, template: Catalog) -> list[str]:
    """Merge the texts into a language's catalog; returns those without a translation."""
    path = LOCALE / code / "LC_MESSAGES" / "cityloom.po"
    catalog = Catalog(locale=code, project="CityLoom", version="", charset="utf-8")
    if path.exists():
        with path.open("rb") as source:
            catalog = read_po(source, locale=code)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.fuzzy = False
    path.parent.mkdir(parents=True, exist_ok=True)
    body = BytesIO()
    write_po(body, catalog, width=110, no_location=True, omit_header=True, sort_output=True)
    head = HEAD.format(name=Locale.parse(code).get_display_name("en"), code=code, plural=catalog.plural_forms)
    path.write_text(head + body.getvalue().decode(), encoding="utf-8")
    return [] if code == SOURCE else list(untranslated(catalog))


def untranslated(catalog: Catalog) -> Iterator[str]:
    """The texts of a catalog that say nothing in its language."""
    for message in catalog:
        if not message.id:
            continue
        said = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if not all(said):
            yield str(message.id[0] if isinstance(message.id, tuple | list) else message.id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
