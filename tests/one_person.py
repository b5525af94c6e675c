"""A report with words, contact and photo that stand nowhere else, and where any of them can still be read."""

from __future__ import annotations

import json
import re
import zipfile
from base64 import b64encode
from pathlib import Path

import apsw
import duckdb

from plain_browser import Browser
from running_city import RunningCity

#: Words that stand nowhere else, with letters that JSON may escape.
TEXT, PLACE, REPLY = "grævlingeskraldet7f3a", "Ræveståsmøllen9c1b", "pølsemågerne2d8e"
EMAIL, PHONE = "bodil.b8e2f1@example.org", "+45 5550 7719"
ANSWER = "kæreBodil4417"
WORDS = (TEXT, PLACE, REPLY, EMAIL, PHONE, ANSWER)
#: A picture of one dot, and a thing in it that would be found in a file.
PHOTO = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
#: What of it no other file has.
PIXELS = PHOTO[37:60]


def reported(city: RunningCity, description: str = f"A hole. {TEXT}") -> tuple[str, str]:
    """A report with all that somebody may say; its code and its id."""
    browser = Browser(city.address)
    form = browser.client.get("/report").text
    token = re.search(r'name="form_token" value="([^"]+)"', form)
    assert token
    answer = browser.client.post(
        "/report",
        data={
            "form_token": token[1],
            "category": "road",
            "description": description,
            "placeName": PLACE,
            "email": EMAIL,
            "phone": PHONE,
            "latitude": "0.123456",
            "longitude": "0.654321",
        },
        files={"photo": ("hole.png", PHOTO, "image/png")},
    )
    assert answer.status_code == 200, answer.text
    code = answer.url.path.rpartition("/")[2]
    acted(city, f"/report/{code}", act="reply", text=REPLY)
    (report,) = city.web.get("/ngsi-ld/v1/entities?type=CitizenReport").json()
    acted(city, f"/reports/{report['id']}", act="answer", answer=ANSWER)
    return code, report["id"]


def acted(city: RunningCity, path: str, **said: str) -> str:
    """What a page says after a form was sent to it."""
    browser = Browser(city.address)
    token = re.search(r'name="form_token" value="([^"]+)"', browser.client.get(path).text)
    assert token
    answer = browser.client.post(path, data={"form_token": token[1], **said})
    assert answer.status_code == 200, answer.text
    return answer.text


def forms(word: str) -> set[bytes]:
    """A word as it may lie in a file."""
    return {
        word.encode(),
        word.encode("utf-16-le"),
        json.dumps(word)[1:-1].encode(),
        b64encode(word.encode())[:-4],
    }


def found_in(folder: Path, words=WORDS, data=(PIXELS,)) -> list[str]:
    """Where any of these can still be read: in the bytes of files, and in what tables and packs hold."""
    wanted = [(word, form) for word in words for form in forms(word)] + [("photo", one) for one in data]
    return [f"{name}: {word}" for name, raw in _readable(folder) for word, form in wanted if form in raw]


def _readable(folder: Path):
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            rows = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
            yield f"{path} (rows)", repr(rows).encode()
        elif path.suffix == ".duckdb":
            yield f"{path} (rows)", repr(_duck_rows(path)).encode()
        elif path.suffix == ".db" and path.stat().st_size:
            yield f"{path} (rows)", repr(sqlite_rows(path)).encode()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as pack:
                for name in pack.namelist():
                    yield f"{path}!{name}", pack.read(name)


def _duck_rows(path: Path):
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        return [connection.execute(f'FROM "{name}"').fetchall() for name in tables]


def sqlite_rows(path: Path):
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return [connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables]
