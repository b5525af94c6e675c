"""The shape of the code: what a reviewer should not have to look for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "core", "handler"}


def test_import_contracts_hold():
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_import_contracts_catch_an_arrow_that_points_downstream(tmp_path):
    """The rule is real: a room that imports one below it breaks the build."""
    copy = tmp_path / "src"
    subprocess.run(["cp", "-r", ROOT / "src", copy], check=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    with (copy / "cityloom/kernel/errors.py").open("a") as file:
        file.write("\nimport cityloom.people\n")
    linter = Path(sys.executable).parent / "lint-imports"
    environment = {"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0
    assert "cityloom.kernel.errors -> cityloom.people" in done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_file_is_a_drawer_and_each_says_what_it_is(path):
    assert path.stem not in DRAWERS
    text = path.read_text()
    assert text.startswith('"""') or not text.strip(), "the first line is a docstring"


def test_no_file_grows_past_the_size_at_which_it_knows_everything():
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := _lines(path)) > 600}
    assert long == {}


def test_no_secret_and_no_path_of_a_machine_is_kept_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    pattern = re.compile(r"(?<![\w.])/(home|root)/\w+|BEGIN (RSA |EC )?PRIVATE KEY|AKIA[0-9A-Z]{16}")
    suspects = [
        name
        for name in listed
        if not name.endswith((".lock", ".png", "test_shape.py"))
        and pattern.search((ROOT / name).read_text(errors="ignore") if (ROOT / name).exists() else "")
    ]
    assert suspects == []


def _lines(path):
    return path.read_text().count("\n")
