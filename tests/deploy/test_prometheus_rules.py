"""The rules for Prometheus, by its own program and against the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from config.job_settings import JobSettings
from config.settings import Settings
from jobs.scaling.rule import Load, wanted_slots
from jobs.watching import counted
from jobs.watching.collector import metrics_of
from jobs.watching.database_facts import Facts
from testkit.service import REPOSITORY
from tests.deploy import documented as documents
from tests.deploy.promtool import run

FOLDER = REPOSITORY / "deploy" / "prometheus"
EACH = pytest.mark.parametrize("name", ["jobs", "service"])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNBOOK = REPOSITORY / "docs" / "operations" / "runbook.md"


def rules_of(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / f"{name}.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts(name: str) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules_of(name) if "alert" in rule}


@EACH
def test_the_rules_are_right_and_alert_when_they_should(promtool: str, name: str) -> None:
    for arguments in (("check", "rules", FOLDER / f"{name}.rules.yml"), ("test", "rules", FOLDER / f"{name}.test.yml")):
        done = run(promtool, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@EACH
def test_every_alert_is_seen_to_come_and_to_stay_away(name: str) -> None:
    tests = yaml.safe_load((FOLDER / f"{name}.test.yml").read_text())["tests"]
    looks = [look for test in tests for look in test["alert_rule_test"]]
    assert {look["alertname"] for look in looks if "exp_alerts" in look} == set(alerts(name))
    assert {look["alertname"] for look in looks if "exp_alerts" not in look} == set(alerts(name))


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
    file.write_text(
        yaml.safe_dump({"rule_files": [f"{FOLDER}/jobs.rules.yml"], "evaluation_interval": "15s", "tests": [test]})
    )
    done = run(promtool, "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@EACH
def test_every_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    for alert, rule in alerts(name).items():
        assert set(rule["annotations"]) == {"summary", "action", "runbook_url"}, alert
        assert rule["annotations"]["runbook_url"] == f"docs/operations/runbook.md#{alert.lower()}"
        assert rule["labels"]["severity"] in ("info", "warning", "critical"), alert


def test_every_job_alert_is_told() -> None:
    for alert in alerts("jobs"):
        assert f"| `{alert}` |" in documents.JOB_METRICS.read_text(), f"{alert} is not told"


def test_the_runbook_has_what_shows_and_what_cures_each() -> None:
    sections = re.split(r"^### ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    assert {section.split()[0] for section in sections} >= {*alerts("service"), *alerts("jobs")}
    for section in sections:
        assert re.findall(r"^- (\w+): ", section, re.MULTILINE) == ["Shows", "Cures"], section
        assert "`" in section.partition("- Shows: ")[2].partition("- Cures: ")[0], section


def test_every_variable_and_command_of_the_runbook_exists() -> None:
    text = RUNBOOK.read_text()
    known = {field.alias for model in (Settings, JobSettings) for field in model.model_fields.values()}
    assert set(re.findall(r"\b(?:FACE|LOG|WORKER|JOB|ENABLE)_[A-Z_]+\b", text)) <= known
    rooms = REPOSITORY / "face_recognition_app"
    for command in re.findall(r"manage\.py (\w+)[^`]*`", text):
        assert list(rooms.glob(f"*/management/commands/{command}.py")), command
    actions = {path.stem for path in (rooms / "jobs" / "management" / "actions").glob("*.py")}
    for action in re.findall(r"manage\.py jobs (\w+)", text):
        assert action in actions | {"replay", "purge"}, action


def test_rules_of_jobs_ask_only_for_metrics_that_are_told_and_those_are_there() -> None:
    told = documents.documented_of_jobs()
    assert documents.asked_for(str(rule["expr"]) for rule in rules_of("jobs")) <= told
    counted_here = [one for one in vars(counted).values() if isinstance(one, Counter | Gauge | Histogram)]
    of_workers = [family for one in counted_here for family in one.describe()]
    families = [*of_workers, *metrics_of(Facts((), {}, 0, True, NOW), sends=True)]
    assert {f"{one.name}_total" if one.type == "counter" else one.name for one in families} == told


def test_rules_of_the_service_ask_only_for_metrics_that_are_told() -> None:
    """That those are there, and move, is seen at a real service: tests/service/doors/test_metrics.py."""
    assert documents.asked_for(str(rule["expr"]) for rule in rules_of("service")) <= documents.documented()


def test_kubernetes_scales_by_the_rule_and_as_fast_as_the_code() -> None:
    folder = REPOSITORY / "deploy" / "kubernetes"
    scaler, _ = yaml.safe_load_all((folder / "workers" / "template" / "scaling.yaml").read_text())
    spec = scaler["spec"]
    (metric,) = spec["metrics"]
    (adapter,) = yaml.safe_load((folder / "prometheus-adapter-values.yaml").read_text())["rules"]["external"]
    assert metric["external"]["metric"]["name"] == adapter["name"]["as"]
    assert "face_jobs:wanted_slots" in adapter["seriesQuery"]
    assert any(rule.get("record") == "face_jobs:wanted_slots" for rule in rules_of("jobs"))
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert [policy["value"] for policy in spec["behavior"]["scaleDown"]["policies"]] == [50]
    assert [policy["value"] for policy in spec["behavior"]["scaleUp"]["policies"]] == [100]
