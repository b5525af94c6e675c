"""What the terminal says when something is wrong: the place, the cure, and an exit status that is not 0."""

from __future__ import annotations

import socket

import pytest

from cityloom.app.command_line import main
from running_city import RunningCity, ask


def city(tmp_path, text: str):
    (tmp_path / "city.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        ("[services.weather]", "city.toml: services.weather", "frost"),
        ("[services.frost]\nlimit = 3", "city.toml: services.frost.limit", "Known:"),
        ('[services.parking]\nfull_below = "few"', "city.toml: services.parking.full_below", "Write it like"),
        ("[connectors.lora]", "city.toml: connectors.lora", "mqtt"),
        ("[connectors.mqtt]\nmaping = []", "connectors.mqtt", "Did you mean 'mappings'?"),
        ('[connectors.replay]\ntable = "x.csv"', "connectors.replay", "Column of the instant"),
        ('frameworks = ["iso37121"]', "city.toml: frameworks.iso37121", "u4ssc"),
        ('plugins = ["nowhere"]', "city.toml: plugins", "beside city.toml"),
    ],
)
def test_check_names_what_is_wrong_with_what_is_turned_on_and_the_cure(tmp_path, capsys, text, place, cure):
    home = city(tmp_path, text)
    assert main(["check", "--home", str(home)]) == 1
    said = capsys.readouterr().err
    assert place in said and cure in said


def test_check_names_all_faults_and_up_stops_at_them(tmp_path):
    home = city(tmp_path, "[services.weather]\n[connectors.lora]\n")
    said = ask("check", "--home", home, status=1)
    assert "services.weather" in said and "connectors.lora" in said
    assert "city.toml: " in ask("up", "--home", home, "--port", 0, "--mqtt-port", 0, status=1)
    assert not (home / "running.json").exists()


@pytest.mark.parametrize(
    ("words", "place", "cure"),
    [
        (["--time-zone", "Europe/Nowhere"], "city.toml: time-zone", "Europe/Copenhagen"),
        (["--place", "here"], "--place", "10.2039,56.1567"),
        (["--place", "200,10"], "city.toml: place", "degrees"),
        (["--language", "xx"], "city.toml: languages", "Choose of en"),
        (["--name", " "], "city.toml: name", "Give it one"),
    ],
)
def test_init_refuses_a_wrong_answer_and_leaves_nothing_behind(tmp_path, capsys, words, place, cure):
    assert main(["init", "--home", str(tmp_path / "new"), *words]) == 1
    said = capsys.readouterr().err
    assert place in said and cure in said
    assert not (tmp_path / "new").exists()


def test_init_does_not_overwrite_a_city_and_quotes_its_name(tmp_path, capsys):
    home = tmp_path / "new"
    assert main(["init", "--home", str(home), "--name", 'The "Old" Town \\ Mill']) == 0
    assert main(["check", "--home", str(home)]) == 0
    before = (home / "city.toml").read_text()
    assert main(["init", "--home", str(home), "--name", "Other"]) == 1
    assert "There is a city here already" in capsys.readouterr().err
    assert (home / "city.toml").read_text() == before


@pytest.mark.parametrize("words", [("check",), ("up", "--port", "0"), ("account", "list")])
def test_commands_on_an_empty_folder_say_how_to_make_a_city(tmp_path, capsys, words):
    assert main([*words, "--home", str(tmp_path / "none")]) == 1
    said = capsys.readouterr().err
    assert "There is no city here" in said and "cityloom init" in said
    assert not (tmp_path / "none").exists()


def test_follow_says_when_no_city_runs(tmp_path, capsys):
    assert main(["follow", "urn:x:y", "--home", str(tmp_path)]) == 1
    assert "No city runs on this folder" in capsys.readouterr().err


def test_demo_without_its_data_names_the_folder_and_the_cure(tmp_path, capsys):
    home = ["--home", str(tmp_path / "home")]
    assert main(["demo", "aarhus", "--data", str(tmp_path / "nothing"), *home]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "nothing") in said and "leave the folder out to fetch it" in said
    assert main(["demo", "atlantis", *home]) == 1
    said = capsys.readouterr().err
    assert "atlantis" in said and "aarhus" in said and "loomby" in said


@pytest.mark.parametrize("option", ["--port", "--mqtt-port"])
def test_port_that_was_asked_for_and_is_busy_is_named(tmp_path, option):
    home = city(tmp_path, "[connectors.mqtt]\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--port": 0, "--mqtt-port": 0} | {option: port}
        words = [word for pair in ports.items() for word in pair]
        said = ask("up", "--home", home, *words, status=1)
    assert f"Port {port} is busy" in said and "choose another port" in said


def test_folder_that_runs_already_is_not_opened_twice(town):
    said = ask("up", "--home", town.running.home, "--port", 0, "--mqtt-port", 0, status=1)
    assert str(town.running.home) in said and "Traceback" not in said
    refused = ask("account", "reset", "admin", "--home", town.running.home, status=1)
    assert "Traceback" not in refused


def test_forgotten_password_is_reset_at_the_terminal(tmp_path, capsys):
    home = city(tmp_path, 'name = "Testby"\n')

    def account(*words: str, status: int = 0) -> str:
        assert main(["account", *words, "--home", str(home)]) == status
        told = capsys.readouterr()
        return told.out + told.err

    first = account("create", "kim", "--role", "administrator").split("password ")[1].split()[0]
    again = account("reset", "kim")
    assert first not in again and "password" in again
    assert "kim" in account("list") and "administrator" in account("list")
    assert "There is an account" in account("create", "kim", status=1)
    assert "nobody" in account("reset", "nobody", status=1)
    assert "Roles are" in account("create", "bo", "--role", "king", status=1)


def test_broken_rows_of_a_replayed_table_are_shown_and_the_others_played(tmp_path):
    (tmp_path / "weather.csv").write_text(
        "station,observed,t\nharbour,2014-08-01 02:20:00,17.0\nharbour,2014-08-01 02:50:00,warm\nhill\n"
    )
    table = f"""
        name = "Testby"
        [mqtt]
        enabled = false
        [connectors.replay]
        table = "{tmp_path / "weather.csv"}"
        time = "observed"
        time_zone = "Europe/Copenhagen"
        type = "WeatherObserved"
        id = "urn:ngsi-ld:WeatherObserved:{{station}}"
        speed = 1440
        [connectors.replay.fields]
        t = {{ attribute = "temperature", unit = "CEL" }}
    """
    running = RunningCity(city(tmp_path, table), "up")
    try:
        parked: list = []
        for _ in range(600):
            parked = running.web.get("/parked.json", headers=running.as_terminal).json()["parked"]
            if len(parked) == 2:
                break
        assert sorted((one["address"], one["where"]) for one in parked) == [
            ("weather.csv line 3", "temperature"),
            ("weather.csv line 4", "row"),
        ]
        assert all(one["reason"] and one["hint"] for one in parked)
        harbour = running.web.get("/entities/urn:ngsi-ld:WeatherObserved:harbour.json").json()
        assert harbour["origin"] == "replayed"
    finally:
        assert running.stop() == 0


def test_edge_s_token_is_made_at_the_terminal_and_nobody_signs_in_as_it(tmp_path, capsys):
    home = ["--home", str(city(tmp_path, 'name = "Testby"\n'))]
    assert main(["account", "create", "ship", "--role", "edge", *home]) == 0
    assert main(["account", "create", "kim", "--role", "operator", *home]) == 0
    capsys.readouterr()
    assert main(["account", "token", "ship", *home]) == 0
    told = capsys.readouterr()
    assert "shown this once" in told.err and told.out.count("\n") == 1
    assert main(["account", "token", "kim", *home]) == 1
    assert "'kim' is a person's account" in capsys.readouterr().err
    assert main(["account", "token", "ship", "--days", "1000", *home]) == 1
    assert "cannot live 1000 days" in capsys.readouterr().err
