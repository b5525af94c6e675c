"""The guide to one person's data: its commands are run in its order, on a city with a report."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "journeys"))
from test_erasure import TEXT, begun, found_in, reported

from running_city import RunningCity, ask

GUIDE = (Path(__file__).parents[2] / "docs/guides/erase_a_person.md").read_text(encoding="utf-8")
EMAIL = "bodil@example.org"


def test_guide_s_commands_do_what_it_says(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("one_person.EMAIL", EMAIL)
    monkeypatch.chdir(tmp_path)
    look, copy, erase, backup, restore = (
        shlex.split(line) for line in re.findall(r"^\$ cityloom (.*)$", GUIDE, re.M)
    )
    home = Path("city")
    city = begun(home, person=False)
    with (home / "city.toml").open("a") as file:
        (declared,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)
        assert [one["type"] for one in tomllib.loads(declared)["personal"]] == ["Person", "Visit"]
        file.write(f"\n{declared}")
    _, report = reported(city)
    assert report in ask(*look)
    ask(*copy)
    with zipfile.ZipFile("bodil.zip") as pack:
        assert TEXT in pack.read("held.json").decode()
    Path("bodil.zip").unlink()
    # The guide tells of keys last; a backup of before is what an erasure has to reach.
    ask(*backup)
    (made,) = Path("backups").glob("*/manifest.json")
    ask(*erase)
    city.stop()
    ask(*[word.replace("backups/BACKUP", str(made.parent)) for word in restore])
    again = RunningCity(Path("again"), "up", "--open-access")
    told = again.web.get(f"/reports/{report}").text
    again.stop()
    assert "Erased at the person&#39;s request" in told or "Erased at the person's request" in told
    assert not found_in(tmp_path, (TEXT, EMAIL))
