"""city.toml: every fault names its place and the cure."""

import os
import socket

import pytest

from cityloom.app.between import cluster_address
from cityloom.app.command_line import main
from cityloom.app.configuration import parse_configuration, read_configuration
from cityloom.app.first_configuration import write_first
from cityloom.kernel.errors import BadConfig


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("name = ", "city.toml", "Correct that line"),
        ('nmae = "X"', "city.toml: nmae", "Did you mean 'name'?"),
        ('name = "  "', "city.toml: name", "Give it one"),
        ('time-zone = "Europe/Aarhus"', "city.toml: time-zone", "Europe/Copenhagen"),
        ('time-zone = "../../etc/passwd"', "city.toml: time-zone", "Europe/Copenhagen"),
        ('languages = ["xx"]', "city.toml: languages", "Choose of en"),
        ("languages = 3", "city.toml: languages", "Correct the value"),
        ('[classes]\ndefault = "secret"', "city.toml: classes.default", "open, internal, security"),
        ('[classes]\ntypes = {Alert = "x"}', "city.toml: classes.Alert", "open, internal, security"),
        ('[figures]\nmajor_streets_km = "long"', "city.toml: figures[...]", "Correct the value"),
        ("[place]\nlongitude = 200.0", "city.toml: place", "in degrees"),
        ("[place]\nbounds = [1.0, 2.0]", "city.toml: place.bounds", "west, south, east, north"),
        ("[place]\nbounds = [3.0, 2.0, 1.0, 4.0]", "city.toml: place.bounds", "Swap"),
        ('proxies = ["10.0.0.1/8"]', "city.toml: proxies", "10.0.0.0/8"),
        ('proxies = ["*"]', "city.toml: proxies", "192.0.2.7"),
        ('[contexts]\nallow = ["example.org"]', "city.toml: contexts.allow", "https://example.org/ld/"),
        ('[outbound]\nallow = ["example.org"]', "city.toml: outbound.allow", "https://example.org/ld/"),
        ('[contexts]\nallow = ["https:///"]', "city.toml: contexts.allow", "https://example.org/ld/"),
        ('[contexts]\nallow = ["ftp://example.org/"]', "city.toml: contexts.allow", "https://example.org"),
        ('[nats]\nservers = ["nats://n1.example:4222"]\nuser = "city"', "city.toml: nats.servers", "tls://"),
        ("[mqtt]\nport = 1", "city.toml: mqtt", "Correct the value"),
    ],
)
def test_parse_configuration_names_the_place_and_the_cure(text, where, hint):
    with pytest.raises(BadConfig) as caught:
        parse_configuration(text)
    assert caught.value.where == where
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["CITYLOOM_NATS_PASSWORD", "CITYLOOM_NATS_TOKEN"])
@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        ('servers = ["nats://n1.example:4222"]', True),
        ('servers = ["nats://127.0.0.1:4222", "nats://10.0.0.7:4222"]', True),
        ('servers = ["nats://127.0.0.1:4222"]', False),
        ('servers = ["tls://n1.example:4222"]', False),
        ('servers = ["nats://n1.example:4222"]\nauthority = "ca.pem"', False),
    ],
)
def test_what_lets_into_the_cluster_is_told_over_a_safe_line_alone(monkeypatch, name, lines, refused):
    monkeypatch.setenv(name, "four grey geese")
    configuration = parse_configuration(f"[nats]\n{lines}\n")
    if not refused:
        assert cluster_address(configuration).servers == configuration.nats.servers
        return
    with pytest.raises(BadConfig, match="for all to read") as caught:
        cluster_address(configuration)
    assert "geese" not in str(caught.value)


def test_check_says_that_nobody_answers_for_the_cluster(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"nats://127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "city.toml").write_text(f'[nats]\nservers = ["{server}"]\n')
        assert main(["check", "--home", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "No server of the cluster lets the city in" in said and server in said
    assert "keeps its feed in PostgreSQL (city.toml: nats)" in said


def test_check_tells_every_fault_of_a_city(tmp_path, capsys):
    (tmp_path / "city.toml").write_text(
        'nmae = "X"\ntime-zone = "Europe/Aarhus"\nlanguages = ["xx"]\nfigures = 3\n'
        '[place]\nlongitude = "east"\nlatitude = "north"\n[services.trafic]\n'
    )
    assert main(["check", "--home", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    for place in ("nmae", "figures", "place.longitude", "place.latitude", "time-zone", "languages"):
        assert f"(city.toml: {place})" in said
    assert "trafic" in said


def test_read_configuration_says_how_to_make_a_city_where_there_is_none(tmp_path):
    with pytest.raises(BadConfig, match="cityloom init"):
        read_configuration(tmp_path / "city.toml")


def test_write_first_gives_a_city_that_reads_back(tmp_path):
    path = tmp_path / "new" / "city.toml"
    write_first(path, name='Vil"le', time_zone="Europe/Paris", longitude=2.5, latitude=48.0, language="en")
    city = read_configuration(path)
    assert (city.name, city.time_zone, city.place.latitude) == ('Vil"le', "Europe/Paris", 48.0)
    assert set(city.services) == {"traffic", "parking", "frost"}


def test_write_first_never_overwrites_a_city(tmp_path):
    path = tmp_path / "city.toml"
    path.write_text("name = 'Old'")
    with pytest.raises(BadConfig, match="already"):
        write_first(path, name="New", time_zone="UTC", longitude=0, latitude=0, language="en")
    assert path.read_text() == "name = 'Old'"


def test_init_makes_a_city_that_other_users_of_the_machine_cannot_read(tmp_path):
    home = tmp_path / "town"
    words = ["--name", "T", "--time-zone", "UTC", "--place", "1,2", "--language", "en"]
    before = os.umask(0o022)
    try:
        assert main(["init", "--home", str(home), *words]) == 0
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o077 == 0
    assert (home / "city.toml").stat().st_mode & 0o077 == 0
