"""The guide to watching: what it tells Prometheus is understood, and names what there is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cityloom.app.configuration import examine_configuration
from cityloom.app.watch.metrics import METRICS

GUIDE = (Path(__file__).parents[2] / "docs/guides/watch_a_city.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.M | re.S)


def block(name):
    """The YAML that says in its first line which file it is."""
    (found,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith(f"# {name}\n")]
    return found


def test_prometheus_is_told_where_and_with_which_token():
    (scraped,) = yaml.safe_load(block("prometheus.yml"))["scrape_configs"]
    assert scraped["metrics_path"] == "/metrics"
    assert scraped["authorization"]["credentials_file"]
    assert yaml.safe_load(block("prometheus.yml"))["rule_files"] == ["cityloom.rules.yml"]


def test_the_alarms_name_metrics_that_there_are():
    (group,) = yaml.safe_load(block("cityloom.rules.yml"))["groups"]
    assert len(group["rules"]) == 3
    kinds = {metric.name: metric.kind for metric in METRICS}
    for rule in group["rules"]:
        assert rule["annotations"]["summary"] and rule["annotations"]["description"] and rule["for"]
        named = set(re.findall(r"\bcityloom_\w+", rule["expr"]))
        assert named and named <= kinds.keys()
        for name in named:
            assert (kinds[name] == "counter") == (f"increase({name}" in rule["expr"])


def test_every_metric_of_the_guide_is_one():
    named = {re.sub(r"_bucket$", "", name) for name in re.findall(r"`[^`]*?\b(cityloom_[a-z_]+)", GUIDE)}
    assert named <= {metric.name for metric in METRICS}


@pytest.mark.parametrize("kind", ["toml"])
def test_the_settings_of_the_guide_are_settings(kind):
    texts = [text for found, text in BLOCKS if found == kind]
    assert len(texts) == 2
    for text in texts:
        assert examine_configuration(text)[1] == []


def test_promtool_takes_them(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("amber: promtool is not installed")
    token = tmp_path / "cityloom.token"
    token.write_text("x")
    config = block("prometheus.yml").replace("/etc/prometheus/cityloom.token", str(token))
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / "cityloom.rules.yml").write_text(block("cityloom.rules.yml"))
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout
