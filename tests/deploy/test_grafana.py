"""The dashboard, as far as it can be checked without Grafana."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from testkit.service import REPOSITORY
from tests.deploy.documented import asked_for, documented, documented_of_jobs
from tests.deploy.promtool import run

DASHBOARD: dict[str, Any] = json.loads((REPOSITORY / "deploy" / "grafana" / "service.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
UNSEEN = {"face_compute_threads", "face_worker_memory_bytes", "face_worker_cpu_seconds_total", "face_machine_cores"} | {
    *("face_machine_memory_bytes", "face_database_up", "face_redis_up", "face_redis_memory_bytes"),
}
"""Metrics that no panel shows as they are: parts of a recorded one, or for alerts alone."""


def recorded() -> set[str]:
    files = (REPOSITORY / "deploy" / "prometheus").glob("*.rules.yml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def test_every_expression_is_one_that_prometheus_understands(promtool: str, tmp_path: Path) -> None:
    plain = [one.replace("$__rate_interval", "1m").replace("$instance", ".*") for one in EXPRESSIONS]
    assert not [one for one in plain if "$" in one]
    rules = [{"record": f"panel_{number}", "expr": one} for number, one in enumerate(plain)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = run(promtool, "check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(EXPRESSIONS)} rules found" in done.stdout


def test_it_shows_every_metric_of_the_service_and_no_other() -> None:
    asked = asked_for(EXPRESSIONS)
    assert asked <= documented() | documented_of_jobs()
    assert documented() - asked == UNSEEN


def test_recorded_metrics_are_those_of_the_rules() -> None:
    assert set(re.findall(r"\bface(?:_jobs)?:\w+", " ".join(EXPRESSIONS))) <= recorded()


def test_panels_have_places_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_variable_that_a_panel_uses_is_there() -> None:
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}
    assert used == names
