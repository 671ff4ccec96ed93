"""The rules for Prometheus, by its own program and against the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from jobs.scaling.rule import Load, wanted_slots
from jobs.watching import counted
from jobs.watching.collector import metrics_of
from jobs.watching.database_facts import Facts
from testkit.service import REPOSITORY

RULES = REPOSITORY / "deploy" / "prometheus" / "jobs.rules.yml"
TESTS = RULES.with_name("jobs.test.yml")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
METRICS = REPOSITORY / "docs" / "jobs-metrics.md"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool", path=f"{REPOSITORY / 'var' / 'tools'}:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("promtool is not here; ./run_tests.sh brings it")
    return found


def run(promtool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [promtool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}


def test_the_rules_are_right_and_alert_when_they_should(promtool: str) -> None:
    for arguments in (("check", "rules", RULES), ("test", "rules", TESTS)):
        done = run(promtool, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_come_and_to_stay_away() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    looks = [look for test in tests for look in test["alert_rule_test"]]
    assert {look["alertname"] for look in looks if "exp_alerts" in look} == set(alerts())
    assert {look["alertname"] for look in looks if "exp_alerts" not in look} == set(alerts())


@pytest.mark.parametrize(
    ("busy", "waiting", "mean_s"), [(7.0, 0, 1.0), (9.5, 1_200, 0.25), (0.0, 90, None), (3.5, 40, 12.0)]
)
def test_the_wanted_slots_are_those_of_the_code(
    promtool: str, tmp_path: Path, busy: float, waiting: int, mean_s: float | None
) -> None:
    runs = 0 if mean_s is None else 60
    series = {
        'face_jobs_slots{group="g"}': "10+0x20",
        'face_jobs_busy_seconds_total{group="g"}': f"0+{15 * busy}x20",
        'face_jobs_waiting{group="g"}': f"{waiting}+0x20",
        'face_jobs_run_seconds_count{group="g",type="noop"}': f"0+{runs}x20",
        'face_jobs_run_seconds_sum{group="g",type="noop"}': f"0+{runs * (mean_s or 0)}x20",
    }
    expected = wanted_slots(Load(10, busy, waiting, mean_s))
    sample = {"labels": '{group="g"}', "value": round(expected, 3)}
    expression = {"expr": "round(face_jobs:wanted_slots, 0.001)", "eval_time": "5m", "exp_samples": [sample]}
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [expression],
    }
    file = tmp_path / "wanted.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    done = run(promtool, "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "action"}, name
        assert rule["labels"]["severity"] in ("info", "warning", "critical"), name
        assert f"| `{name}` |" in METRICS.read_text(), f"{name} is not told"


def test_rules_ask_only_for_metrics_that_are_told_and_those_are_there() -> None:
    told = set(re.findall(r"^\| `(face_jobs_\w+)`", METRICS.read_text(), re.MULTILINE))
    expressions = " ".join(str(rule["expr"]) for group in groups() for rule in group["rules"])
    asked = {re.sub(r"_(sum|count)$", "", name) for name in re.findall(r"\bface_jobs_[a-z_]+", expressions)}
    assert asked <= told
    counted_here = [one for one in vars(counted).values() if isinstance(one, Counter | Gauge | Histogram)]
    of_workers = [family for one in counted_here for family in one.describe()]
    families = [*of_workers, *metrics_of(Facts((), {}, 0, True, NOW), sends=True)]
    assert {f"{one.name}_total" if one.type == "counter" else one.name for one in families} == told


def test_kubernetes_scales_by_the_rule_and_as_fast_as_the_code() -> None:
    folder = REPOSITORY / "deploy" / "kubernetes"
    scaler, _ = yaml.safe_load_all((folder / "workers" / "template" / "scaling.yaml").read_text())
    spec = scaler["spec"]
    (metric,) = spec["metrics"]
    (adapter,) = yaml.safe_load((folder / "prometheus-adapter-values.yaml").read_text())["rules"]["external"]
    assert metric["external"]["metric"]["name"] == adapter["name"]["as"]
    assert "face_jobs:wanted_slots" in adapter["seriesQuery"]
    assert any(rule.get("record") == "face_jobs:wanted_slots" for group in groups() for rule in group["rules"])
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert [policy["value"] for policy in spec["behavior"]["scaleDown"]["policies"]] == [50]
    assert [policy["value"] for policy in spec["behavior"]["scaleUp"]["policies"]] == [100]
