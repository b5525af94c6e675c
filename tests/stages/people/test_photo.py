from __future__ import annotations

import struct
from base64 import b64decode
from zlib import compress, crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.people.photo import LARGEST, clean_photo

# A red picture of 16 by 8 pixels, coded in four ways.
JPG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWG"
    "kJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKSkpKSkpKT/wAARCAAIABADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAA"
    "AgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6"
    "Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXG"
    "x8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREA"
    "AgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5"
    "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPE"
    "xcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDP8tP7i/lTqKKwcm92euklsf/Z"
)
PROG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWG"
    "kJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKSkpKSkpKT/wgARCAAIABADASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAEE/8QAFQEBAQAAAAAAAAAA"
    "AAAAAAAAAwT/2gAMAwEAAhADEAAAAc9Dr//EABUQAQEAAAAAAAAAAAAAAAAAABAR/9oACAEBAAEFAof/xAAUEQEAAAAAAAAA"
    "AAAAAAAAAAAA/9oACAEDAQE/AX//xAAVEQEBAAAAAAAAAAAAAAAAAAAAEf/aAAgBAgEBPwGv/8QAFBABAAAAAAAAAAAAAAAA"
    "AAAAEP/aAAgBAQAGPwI//8QAFxAAAwEAAAAAAAAAAAAAAAAAARARUf/aAAgBAQABPyGMC//aAAwDAQACAAMAAAAQD//EABYR"
    "AQEBAAAAAAAAAAAAAAAAAAEAMf/aAAgBAwEBPxAAy//EABYRAQEBAAAAAAAAAAAAAAAAAAEAMf/aAAgBAgEBPxBTrf/EABUQ"
    "AQEAAAAAAAAAAAAAAAAAABDx/9oACAEBAAE/EIx//9k="
)
WEBP = b64decode(
    "UklGRkQAAABXRUJQVlA4IDgAAABwAQCdASoQAAgABABoJagCdAF1AAD+6vUHo0iS5z3pt5I16AcLIiCkyf/wThzAV5/bv/kux0AAAA=="
)
WEBPLL = b64decode("UklGRiIAAABXRUJQVlA4TBYAAAAvD8ABAA8wHoP8j//5Dx7Mf0T/w/8f")


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def exif(orientation: int, order: str = "<") -> bytes:
    """A directory as a telephone writes it: the maker, which way up, where it was taken."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = [
        struct.pack(order + "HHII", 0x010F, 2, 8, 200),
        struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0),
        struct.pack(order + "HHII", 0x8825, 4, 1, 210),
    ]
    body = struct.pack(order + "H", 3) + b"".join(entries) + struct.pack(order + "I", 0)
    return mark + struct.pack(order + "I", 8) + body + b"SecretMaker GPS 56.15 N 10.20 E"


def jpeg_with(*segments: bytes, after: bytes = b"", picture: bytes = JPG) -> bytes:
    return picture[:2] + b"".join(segments) + picture[2:] + after


def png(*extra: tuple[bytes, bytes], width: int = 2, height: int = 2, after: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = compress(b"\0\x10\x20" * height)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")]
    coded = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded) + after


def webp(*extra: tuple[bytes, bytes], flags: int = 0, picture: bytes = WEBP) -> bytes:
    body = b"WEBP"
    if flags or extra:
        body += b"VP8X" + struct.pack("<IB", 10, flags) + b"\0\0\0\x0f\0\0\x07\0\0"
    body += picture[12:]
    for kind, content in extra:
        body += kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


SECRETS = (b"Secret", b"GPS", b"56.15")


@pytest.mark.parametrize(
    ("data", "media_type", "extension", "size"),
    [
        (JPG, "image/jpeg", "jpg", (16, 8)),
        (PROG, "image/jpeg", "jpg", (16, 8)),
        (png(), "image/png", "png", (2, 2)),
        (WEBP, "image/webp", "webp", (16, 8)),
        (WEBPLL, "image/webp", "webp", (16, 8)),
    ],
)
def test_clean_photo_leaves_a_photo_without_metadata_as_it_is(data, media_type, extension, size):
    photo = clean_photo(data)
    assert photo.data == data
    assert (photo.media_type, photo.extension) == (media_type, extension)
    assert (photo.width, photo.height) == size


@pytest.mark.parametrize("picture", [JPG, PROG])
def test_clean_photo_takes_everything_but_the_picture_out_of_a_jpeg(picture):
    data = jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(1)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>Secret</x>"),
        segment(0xE2, b"MPF\0Secret second picture"),
        segment(0xED, b"Photoshop 3.0\0Secret caption"),
        segment(0xFE, b"Secret comment"),
        after=b"Secret film behind the picture",
        picture=picture,
    )
    assert clean_photo(data).data == picture


def test_clean_photo_takes_the_thumbnail_out_of_a_jpeg():
    header = b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01" + b"Sec"
    start = JPG.index(b"\xff\xdb")
    data = b"\xff\xd8" + segment(0xE0, header) + JPG[start:]
    cleaned = clean_photo(data).data
    assert b"Sec" not in cleaned
    assert cleaned == JPG


def test_clean_photo_keeps_the_colours_of_a_jpeg():
    profile = segment(0xE2, b"ICC_PROFILE\0\x01\x01" + b"profile")
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    cleaned = clean_photo(jpeg_with(profile, adobe)).data
    assert profile in cleaned
    assert adobe in cleaned


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_clean_photo_keeps_which_way_up_and_nothing_else(order, orientation):
    cleaned = clean_photo(jpeg_with(segment(0xE1, b"Exif\0\0" + exif(orientation, order)))).data
    for secret in SECRETS:
        assert secret not in cleaned
    if orientation == 1:
        assert cleaned == JPG
    else:
        assert struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) in cleaned
        assert len(cleaned) == len(JPG) + 36
    assert clean_photo(cleaned).data == cleaned


@pytest.mark.parametrize("tiff", [b"", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff\0\0", exif(9)])
def test_clean_photo_takes_an_exif_that_cannot_be_read_as_upright(tiff):
    assert clean_photo(jpeg_with(segment(0xE1, b"Exif\0\0" + tiff))).data == JPG


def test_clean_photo_takes_texts_times_and_moving_parts_out_of_a_png():
    data = png(
        (b"tEXt", b"Author\0Secret"),
        (b"iTXt", b"Comment\0\0\0\0\0Secret"),
        (b"eXIf", exif(6)),
        (b"tIME", b"Secret!"),
        (b"acTL", b"\0\0\0\x02\0\0\0\0"),
        (b"prVt", b"Secret"),
        after=b"Secret archive behind the picture",
    )
    assert clean_photo(data).data == png()


def test_clean_photo_keeps_the_colours_of_a_png():
    data = png((b"gAMA", b"\0\0\xb1\x8f"), (b"iCCP", b"profile"))
    assert clean_photo(data).data == data


def test_clean_photo_takes_exif_and_xmp_out_of_a_webp():
    data = webp((b"EXIF", exif(1)), (b"XMP ", b"<x>Secret</x>"), (b"ABCD", b"Secret"), flags=0x0C)
    cleaned = clean_photo(data).data
    for secret in SECRETS:
        assert secret not in cleaned
    assert cleaned[20] == 0
    assert clean_photo(cleaned).data == cleaned


def test_clean_photo_keeps_which_way_up_a_webp_is():
    cleaned = clean_photo(webp((b"EXIF", b"Exif\0\0" + exif(6)), flags=0x08)).data
    assert cleaned[20] == 0x08
    assert struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) in cleaned
    assert b"Secret" not in cleaned
    assert clean_photo(cleaned).data == cleaned


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"GIF89a" + b"\0" * 50, "no photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no photo"),
        (b"%PDF-1.7", "no photo"),
        (b"\xff\xd8\xff", "ends too early"),
        (JPG[:-2], "ends too early"),
        (JPG[:200], "ends too early"),
        (JPG[:20] + b"\0\0" + JPG[20:], "out of order"),
        (b"\xff\xd8" + segment(0xFE, b"") + b"\xff\xd9", "no picture"),
        (jpeg_with(b"\xff\xfe\0\x01"), "ends too early"),
        (png()[:-8], "ends too early"),
        (png().replace(b"IDAT", b"IDAX"), "checksum"),
        (png((b"ABCD", b"")), "no program knows"),
        (png(width=0), "no size"),
        (png(width=100_000, height=100_000), "100,000 by 100,000"),
        (WEBP[:-4], "ends too early"),
        (b"RIFF" + struct.pack("<I", 4) + b"WEBP", "no picture"),
        (webp(flags=0x02), "moves"),
        (JPG + b"\0" * LARGEST, "5.0 MB"),
    ],
)
def test_clean_photo_refuses_what_is_none_broken_or_too_large(data, words):
    with pytest.raises(BadInput, match=words) as caught:
        clean_photo(data)
    assert caught.value.where == "photo"
    assert caught.value.hint


@given(st.sampled_from([JPG, PROG, png(), WEBP, WEBPLL, webp((b"EXIF", exif(6)), flags=8)]), st.data())
def test_clean_photo_answers_any_damage_with_a_photo_or_bad_input(picture, data):
    damaged = bytearray(picture)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        photo = clean_photo(bytes(damaged))
    except BadInput:
        return
    assert clean_photo(photo.data) == photo


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBP"]), st.binary(max_size=200)
)
def test_clean_photo_answers_any_bytes_with_a_photo_or_bad_input(begin, rest):
    try:
        photo = clean_photo(begin + rest)
    except BadInput:
        return
    assert clean_photo(photo.data) == photo
