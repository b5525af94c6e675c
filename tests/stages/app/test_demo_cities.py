"""Opening demo cities by their position, and showing how far a download is."""

import io
from datetime import UTC, datetime

import pytest

from cityloom.app.demo_cities import demo_cities, find_city, open_city
from cityloom.app.progress import ShownProgress, progress_line
from cityloom.kernel.errors import BadConfig, BadInput, BrokenPlugin, NotReady

PACKAGES = ["cityloom_catalogue"]


def silent(label, done, total):
    """Shows nothing."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of demo cities: write(id, rank, code) adds one."""
    name = f"cities_of_{tmp_path.name.replace('-', '_')}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(city, rank, code):
        folder = tmp_path / name / "cities" / city
        folder.mkdir(parents=True)
        (folder / "manifest.toml").write_text(f'id = "{city}"\nrank = {rank}\n')
        (folder / "source.py").write_text(code)

    write.name = name
    return write


OPENS = (
    "def open_city(folder, progress, *, begins=None, season=''):\n    return ('{}', folder, begins, season)\n"
)
AWAY = """
from cityloom.sdk import NotReady
def open_city(folder, progress, *, begins=None, season=''):
    raise NotReady('no pack', hint='bring it')
"""


def test_open_city_passes_over_what_cannot_be_had_and_says_why(package, tmp_path):
    package("north", 1, AWAY)
    package("south", 2, OPENS.format("south"))
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    opened = open_city("", tmp_path, silent, packages=[package.name], begins=begins, season="winter")
    assert opened.city == ("south", tmp_path, begins, "winter")
    assert [error.message for error in opened.passed_over] == ["no pack"]


def test_open_city_takes_the_lowest_rank_first(package):
    package("a-last", 9, OPENS.format("a-last"))
    package("b-first", 1, OPENS.format("b-first"))
    assert open_city("", None, silent, packages=[package.name]).city[0] == "b-first"
    assert [plugin.id for plugin in demo_cities([package.name])] == ["b-first", "a-last"]


def test_open_city_does_not_pass_over_the_city_that_was_asked_for(package):
    package("north", 1, AWAY)
    package("south", 2, OPENS.format("south"))
    with pytest.raises(NotReady, match="no pack"):
        open_city("north", None, silent, packages=[package.name])


def test_open_city_says_so_when_none_can_be_had(package):
    package("north", 1, AWAY)
    with pytest.raises(NotReady, match="No demo city") as caught:
        open_city("", None, silent, packages=[package.name])
    assert "no pack bring it" in caught.value.hint


def test_open_city_does_not_hide_damaged_data(package):
    package("north", 1, AWAY.replace("NotReady", "BadInput"))
    package("south", 2, OPENS.format("south"))
    with pytest.raises(BadInput):
        open_city("", None, silent, packages=[package.name])


@pytest.mark.parametrize("code", ["", "raise ValueError('broken')"])
def test_open_city_names_a_plugin_that_is_broken(package, code):
    package("north", 1, code)
    with pytest.raises(BrokenPlugin, match="cities/north") as caught:
        open_city("north", None, silent, packages=[package.name])
    assert caught.value.where.endswith("source.py")


def test_find_city_lists_the_cities_there_are():
    assert find_city("Loomby", PACKAGES).id == "loomby"
    with pytest.raises(BadConfig, match="'oslo'") as caught:
        find_city("oslo", PACKAGES)
    assert caught.value.hint == "Choose of aarhus, loomby."


def test_open_city_opens_the_simulated_town_where_there_is_no_pack(tmp_path, monkeypatch):
    """Aarhus is tried first; its origin is a port on which nobody listens."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CITYLOOM_DATA", raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    opened = open_city("", None, silent, packages=PACKAGES)
    assert opened.city.id == "loomby"
    assert len(opened.passed_over) == 1
    assert "Aarhus" in opened.passed_over[0].message


@pytest.mark.parametrize("city", ["aarhus", "loomby"])
def test_every_city_brings_a_configuration_that_is_right(city):
    from cityloom.app.configuration import parse_configuration

    plugin = find_city(city, PACKAGES)
    configuration = parse_configuration((plugin.folder / "city.toml").read_text())
    assert configuration.demo == city
    assert configuration.name == plugin.manifest["title"]
    west, south, east, north = configuration.place.bounds
    assert west < configuration.place.longitude < east
    assert south < configuration.place.latitude < north
    assert (plugin.folder / "README.md").read_text().startswith(f"# {configuration.name}")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_progress_line_tells_bytes_percent_and_what_is_left():
    assert progress_line(0, 2_000_000, 0.0, 0) == "0.0 of 2.0 MB, 0 %"
    assert progress_line(500_000, 2_000_000, 10.0, 500_000) == "0.5 of 2.0 MB, 25 %, about 30 s left"
    assert progress_line(1_000_000, 100_000_000, 10.0, 500_000) == "1.0 of 100.0 MB, 1 %, about 33 min left"
    assert progress_line(2_000_000, 2_000_000, 10.0, 500_000) == "2.0 of 2.0 MB, 100 %"


def test_shown_progress_draws_a_bar_on_a_terminal_and_ends_the_line():
    stream, seconds = Terminal(), Seconds()
    show = ShownProgress(stream, seconds)
    for done in range(0, 101):
        seconds.now += 0.01
        show("Data", done * 1000, 100_000)
    drawn = stream.getvalue().split("\r")[1:]
    assert 8 <= len(drawn) <= 15, "not more than ten times a second"
    assert drawn[-1].endswith("100 %\n")
    assert "█" * 30 in drawn[-1]
    assert "·" * 25 in drawn[0]
    assert "s left" in drawn[1]


def test_shown_progress_writes_a_plain_line_for_each_tenth_elsewhere():
    stream, seconds = io.StringIO(), Seconds()
    show = ShownProgress(stream, seconds)
    for done in range(0, 101):
        seconds.now += 1
        show("Data", done * 1000, 100_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert all(line.startswith("Data: ") and "\r" not in line and "\x1b" not in line for line in lines)
    assert lines[5] == "Data: 0.1 of 0.1 MB, 50 %, about 50 s left"


def test_shown_progress_counts_the_time_from_where_it_began():
    stream, seconds = io.StringIO(), Seconds()
    show = ShownProgress(stream, seconds)
    show("Data", 80_000_000, 100_000_000)
    seconds.now = 10.0
    show("Data", 90_000_000, 100_000_000)
    assert stream.getvalue().splitlines()[-1].endswith("about 10 s left"), (
        "what an earlier run fetched was not fast"
    )


def test_shown_progress_counts_what_has_no_known_end_on_a_terminal_alone():
    terminal, plain, seconds = Terminal(), io.StringIO(), Seconds()
    for stream in (terminal, plain):
        show = ShownProgress(stream, seconds)
        for number in (1_000, 2_000, 1_234_567):
            seconds.now += 1
            show("History", number, 0)
    assert terminal.getvalue().split("\r\x1b[K")[1:] == [
        "History: 1,000",
        "History: 2,000",
        "History: 1,234,567",
    ]
    assert plain.getvalue() == ""


def test_a_count_leaves_the_next_line_to_others():
    stream = Terminal()
    show = ShownProgress(stream, seconds=iter(range(99)).__next__)
    show("Readings", 1000, 0)
    show("Readings", 2000, 0)
    show.end()
    show.end()
    assert stream.getvalue().endswith("Readings: 2,000\n")
