"""The guides to running, backing up and restoring a city: their commands are run, their files are checked."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.command_line import build_parser
from cityloom.app.configuration import parse_configuration
from cityloom.web.limits import USUAL
from cityloom.web.live import HEARTBEAT
from running_city import COMMAND, RunningCity

ROOT = Path(__file__).parents[2]
HOME = (ROOT / "docs/guides/run_it_at_home.md").read_text(encoding="utf-8")
CONTAINER = (ROOT / "docs/guides/run_it_in_a_container.md").read_text(encoding="utf-8")
BACKUP = (ROOT / "docs/guides/back_up_and_restore.md").read_text(encoding="utf-8")
UNIT = ROOT / "deploy/cityloom.service"
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
#: What stands before the words for `cityloom` in a line of a guide.
_RUNS = re.compile(r"(?:.*cityloom/bin/cityloom|.* run --rm city|.* exec city cityloom|cityloom) ")


def lines_of(guide):
    """What is to be typed, without `sudo`."""
    lines = re.findall(r"^\$ (?:sudo (?:-u cityloom )?)?(.*)$", guide, re.M)
    assert lines
    return lines


def words_for_cityloom(guide):
    return [shlex.split(_RUNS.sub("", line, count=1)) for line in lines_of(guide) if _RUNS.match(line)]


def announced(city, patience=20):
    """What the city says when it runs; its address is known an instant before."""
    until = time.monotonic() + patience
    while "Ctrl+C" not in city.said:
        assert time.monotonic() < until, city.said
        time.sleep(0.02)
    return city.said


def directives(*texts):
    """All values of each directive of a unit and of what is added to it."""
    parsed: dict[str, list[str]] = {}
    for line in "\n".join(texts).splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            parsed.setdefault(name, []).append(value)
    return parsed


@pytest.mark.parametrize("guide", [HOME, CONTAINER, BACKUP], ids=["home", "container", "backup"])
def test_guides_ask_for_commands_and_files_that_are_there(guide, tmp_path):
    asked = words_for_cityloom(guide)
    assert asked
    for words in asked:
        build_parser().parse_args(words)
    targets = {line.split()[1] for line in lines_of(guide) if line.startswith("make ")}
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert targets <= set(made)
    for path in re.findall(r"\bdeploy/[\w.]+", guide):
        assert (ROOT / path).is_file()
    for block in re.findall(r"```toml\n(.*?)```", guide, re.S):
        parse_configuration(block)


def test_the_first_account_is_made_before_the_city_runs_and_its_journal_tells_no_password(tmp_path):
    for words in words_for_cityloom(HOME)[:2]:
        there = [word.replace("/var/lib/cityloom", str(tmp_path / "city")) for word in words]
        done = subprocess.run([*COMMAND, *there], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert "mayor: password " in done.stdout
    city = RunningCity(tmp_path / "city", "up")
    try:
        assert "password" not in announced(city)
        forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}
        assert "strict-transport-security" in city.web.get("/", headers=forwarded).headers
        assert "strict-transport-security" not in city.web.get("/").headers
    finally:
        city.stop()


def test_devices_are_listened_for_where_the_city_s_file_says(tmp_path):
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text('[mqtt]\nhost = "127.0.0.2"\n[connectors.mqtt]\n')
    city = RunningCity(home, "up")
    try:
        (port,) = re.findall(r"MQTT +127\.0\.0\.2:(\d+)", announced(city))
        socket.create_connection(("127.0.0.2", int(port)), timeout=30).close()
        assert "http://127.0.0.1:" in city.address
    finally:
        city.stop()
    (home / "city.toml").write_text('[mqtt]\nhost = "0.0.0.0"\n')
    words = ["up", "--open-access", "--home", str(home), "--port", "0", "--mqtt-port", "0"]
    refused = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "Open access is not served on 0.0.0.0" in refused.stderr


def test_nothing_is_said_of_mqtt_where_no_connector_hears_devices(tmp_path):
    (tmp_path / "city").mkdir()
    (tmp_path / "city/city.toml").write_text("[connectors.http_push]\n")
    city = RunningCity(tmp_path / "city", "up")
    try:
        assert "MQTT" not in announced(city)
    finally:
        city.stop()


def test_what_a_proxy_must_let_through_is_what_the_city_takes():
    told = {path: int(size) for size, path in re.findall(r"(\d+) MB[a-z ]* to `(/[\w/-]+/)`", HOME)}
    assert told == {path: USUAL[path] // 1_000_000 for path in ("/ngsi-ld/",)}
    (rest,) = re.findall(r"of (\d+) MB to the rest", HOME)
    assert int(rest) * 1_000_000 == max(
        size for path, size in USUAL.items() if path not in told and path != "/loads/"
    )
    assert f"{HEARTBEAT:g} seconds of silence" in HOME


def test_a_backup_by_the_guide_restores_the_city_as_it_was(tmp_path):
    home = tmp_path / "lib" / "cityloom"
    home.parent.mkdir()
    running = [RunningCity(home, "up", "--open-access")]

    def do(line):
        if "systemctl" in line:
            (_, verb, _) = line.split()
            running[-1].stop() if verb == "stop" else running.append(RunningCity(home, "up", "--open-access"))
            return
        kept = [one.name for one in (tmp_path / "backups/cityloom").glob("[!.]*")]
        for said, here in (
            ("/var/lib", f"{tmp_path}/lib"),
            ("/var/backups", f"{tmp_path}/backups"),
            ("--owner=cityloom ", ""),
            *(("newtown-20260412T200000Z", name) for name in kept),
        ):
            line = line.replace(said, here)
        line = re.sub(r"^(/opt/cityloom/bin/)?cityloom ", f"{shlex.join(COMMAND)} ", line)
        subprocess.run(line, shell=True, check=True, cwd=tmp_path, timeout=60)

    try:
        write(running[-1], 1.5, "2026-04-12T20:00:00Z")
        assert past(running[-1]) == [1.5]
        for line in lines_of(part("Back up")):
            do(line)
        write(running[-1], 9.5, "2026-04-12T21:00:00Z")
        for line in (*lines_of(part("Check")), *lines_of(part("Restore").split("Try a backup")[0])):
            do(line)
        assert value(running[-1]) == 1.5
        assert past(running[-1]) == [1.5]
        write(running[-1], 2.5, "2026-04-12T22:00:00Z")
    finally:
        running[-1].stop()
    do(lines_of(part("Restore").split("Try a backup")[1])[0])
    assert (tmp_path / "try/feed.db").stat().st_size > 0


def test_the_backup_of_every_night_is_the_command_of_the_guide():
    service, timer = (directives(text) for text in re.findall(r"```ini\n(.*?)```", part("Every night"), re.S))
    (command,) = service["ExecStart"]
    assert command in lines_of(part("Back up"))
    assert service["User"] == directives(UNIT.read_text())["User"]
    assert timer["OnCalendar"] == ["*-*-* 03:10:00"]


def part(title):
    """A section of the guide to backups."""
    return BACKUP.split(f"\n## {title}\n")[1].split("\n## ")[0]


def write(city, temperature, at):
    mast = {
        "id": "urn:ngsi-ld:WeatherObserved:mast",
        "type": "WeatherObserved",
        "temperature": {"value": temperature, "unitCode": "CEL", "observedAt": at},
    }
    answer = city.web.post("/ngsi-ld/v1/entityOperations/upsert", json=[mast])
    assert answer.status_code in (201, 204)


def value(city):
    path = "/ngsi-ld/v1/entities/urn:ngsi-ld:WeatherObserved:mast?options=keyValues"
    return city.web.get(path).json()["temperature"]


def past(city, patience=20):
    """The temperatures that history tells, once it has followed the feed."""
    path = "/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:WeatherObserved:mast?options=temporalValues"
    until = time.monotonic() + patience
    while not (found := city.web.get(path).json().get("temperature", {}).get("values")):
        assert time.monotonic() < until, "history did not follow"
        time.sleep(0.05)
    return [pair[0] for pair in found]


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    """`systemd-analyze verify` where it is, with the drop-in of the guide."""
    (dropped,) = re.findall(r"```ini\n(.*?)```", HOME, re.S)
    unit = configparser.ConfigParser(strict=False, allow_no_value=True, delimiters="=")
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    assert unit.sections() == ["Unit", "Service", "Install"]
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not here")
    folder = tmp_path / "cityloom.service.d"
    folder.mkdir()
    (folder / "override.conf").write_text(dropped.replace("/opt/cityloom/bin/cityloom", sys.executable))
    there = tmp_path / "cityloom.service"
    there.write_text(UNIT.read_text().replace("/opt/cityloom/bin/cityloom", sys.executable))
    done = subprocess.run([analyze, "verify", there], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    spoilt = tmp_path / "spoilt.service"
    spoilt.write_text(there.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    assert (
        "ProtectSystm" in subprocess.run([analyze, "verify", spoilt], capture_output=True, text=True).stderr
    )


def test_the_unit_gives_the_city_its_folder_and_nothing_else():
    unit = directives(UNIT.read_text())
    assert unit["User"] == ["cityloom"]
    assert unit["Environment"] == [f"CITYLOOM_HOME=/var/lib/{unit['StateDirectory'][0]}"]
    wanted = {
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateDevices": "yes",
        "PrivateTmp": "yes",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "KillSignal": "SIGTERM",
        "SystemCallFilter": "@system-service",
    }
    assert {name: unit.get(name) for name in wanted} == {name: [value] for name, value in wanted.items()}
    assert "ReadWritePaths" not in unit
    (command,) = unit["ExecStart"]
    build_parser().parse_args(command.split()[1:])
    assert unit["TimeoutStopSec"] == [COMPOSE["services"]["city"]["stop_grace_period"].removesuffix("s")]


def instructions():
    """The Dockerfile as pairs of instruction and argument, continued lines joined."""
    text = (ROOT / "deploy/Dockerfile").read_text()
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.M))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_ready():
    steps = instructions()
    names = [name for name, _ in steps]
    last = dict(steps[names.index("FROM", 1) :])
    assert last["USER"] == "city"
    assert names.index("USER") < names.index("VOLUME")
    making = next(said for name, said in steps if name == "RUN" and "useradd" in said)
    assert "--owner=city" in making
    assert f" {last['VOLUME']}" in making
    assert f"CITYLOOM_HOME={last['VOLUME']}" in last["ENV"]
    assert "/readyz" in last["HEALTHCHECK"]
    assert last["ENTRYPOINT"] == '["cityloom"]'
    asked = build_parser().parse_args(re.findall(r'"([^"]+)"', last["CMD"]))
    assert last["EXPOSE"].split() == [str(asked.port), str(asked.mqtt_port)]
    (installed,) = [said for name, said in steps if name == "RUN" and "make install" in said]
    prefix = installed.split("PREFIX=")[1]
    assert ("COPY", f"--from=build {prefix} {prefix}") in steps
    assert f"PATH={prefix}/bin:" in last["ENV"]
    bases = [said.split()[0] for name, said in steps if name == "FROM"]
    assert len(set(bases)) == 1, "what is installed fits the base it is copied to"
    assert not any(said.startswith("latest") or ":" not in said for said in bases)


def test_the_image_s_health_check_tells_ready_from_not_ready(tmp_path):
    (check,) = [said for name, said in instructions() if name == "HEALTHCHECK"]
    script = re.findall(r'"([^"]+)"', check)[2]
    city = RunningCity(tmp_path / "trial", "up", "--open-access")
    try:
        asked = script.replace("http://127.0.0.1:8080", city.address)
        assert asked != script
        assert subprocess.run([sys.executable, "-c", asked], timeout=60).returncode == 0
    finally:
        city.stop()
    gone = subprocess.run([sys.executable, "-c", asked], timeout=60, stderr=subprocess.DEVNULL)
    assert gone.returncode != 0


def test_nothing_that_does_not_belong_there_gets_into_the_image():
    left_out = (ROOT / ".dockerignore").read_text().split()
    made_here = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if line[-1] == "/"]
    assert len(made_here) > 5
    assert [one for one in made_here if not {one, f"**/{one}", f"web/{one}"} & set(left_out)] == []
    assert ".git" in left_out


def test_the_composition_has_one_city_without_rights_and_one_volume():
    (service,) = COMPOSE["services"].values()
    assert COMPOSE.keys() <= {"name", "services", "volumes"}
    assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    (volume,) = service["volumes"]
    name, _, place = volume.partition(":")
    steps = dict(instructions())
    assert COMPOSE["volumes"].keys() == {name}
    assert place == steps["VOLUME"]
    ports = [port.split(":") for port in service["ports"]]
    assert [port[-1] for port in ports] == steps["EXPOSE"].split()
    assert {port[0] for port in ports} == {"127.0.0.1"}, "nothing is open to the world unasked"


def test_the_help_of_make_names_every_target_in_one_column():
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True)
    rows = [line for line in done.stdout.splitlines() if line]
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[0].split()
    assert sorted(row.split()[1] for row in rows) == sorted(phony)
    assert len({re.search(r"  make \S+ +", row).end() for row in rows}) == 1
