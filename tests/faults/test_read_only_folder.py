"""A folder that cannot be written is named with the cure, whatever is asked of the city."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small_disk import refuse_writes, small_disk, why_not

from running_city import RunningCity, ask

pytestmark = [pytest.mark.faults, pytest.mark.skipif(bool(why_not()), reason=why_not())]

ANSWERS = ("--name", "Stillby", "--time-zone", "Europe/Copenhagen", "--place", "9.0,56.0", "--language", "en")
PORTS = ("--port", "0", "--mqtt-port", "0")


def test_a_folder_on_a_disk_that_refuses_writes_is_named_with_the_cure(tmp_path: Path):
    home = tmp_path / "town"
    with small_disk(home):
        ask("init", "--home", home, *ANSWERS)
        assert RunningCity(home, "up").stop() == 0
        refuse_writes(home)
        for words in (
            ("up", "--home", home, *PORTS),
            ("init", "--home", home / "other", *ANSWERS),
            ("demo", "loomby", "--home", home / "demo", *PORTS),
            ("account", "reset", "admin", "--home", home),
        ):
            said = ask(*words, status=1)
            assert "Read-only file system" in said and str(home) in said and "--home" in said, said
            assert "Traceback" not in said, said
        refuse_writes(home, refuse=False)
        assert RunningCity(home, "up").stop() == 0


def test_a_file_that_refuses_writes_is_named_with_the_cure(tmp_path: Path):
    home = tmp_path / "town"
    with small_disk(home):
        ask("init", "--home", home, *ANSWERS)
        assert RunningCity(home, "up").stop() == 0
        for name in ("feed.db", "records.db"):
            file = str(home / name)
            subprocess.run(["mount", "--bind", file, file], check=True)
            try:
                subprocess.run(["mount", "-o", "remount,bind,ro", file], check=True)
                said = ask("up", "--home", home, *PORTS, status=1)
                assert f"{name} cannot be opened" in said and "Traceback" not in said, said
            finally:
                subprocess.run(["umount", file], check=True)
