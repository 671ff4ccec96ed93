"""The Compose files, as Compose itself reads them, and against the code and the files that they name."""

from __future__ import annotations

import ipaddress
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from config.durations import parse_duration
from testkit.service import REPOSITORY
from tests.deploy.containers.programs import output_of, run
from tests.deploy.containers.shapes import SHAPES, SLOT_MB, Group, assert_shape, longest_end_s, settings_of

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 13), reason="Compose has no wheel for this Python")

FOLDER = REPOSITORY / "deploy" / "compose"
EXAMPLE = FOLDER / "env.example"
IMAGE = "face-service:latest"


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """env.example as somebody fills it in."""
    file = tmp_path_factory.mktemp("compose") / ".env"
    file.write_text(
        re.sub(r"^(\w+)=$", r"\1=0123456789abcdef0123456789abcdef0123456789abcdef", EXAMPLE.read_text(), flags=re.M)
    )
    return file


@pytest.fixture(scope="module")
def site(shape: str, filled_in: Path) -> dict[str, Any]:
    text = output_of(
        "docker-compose", "--env-file", filled_in, "-f", FOLDER / f"{shape}.yaml", "config", "--format", "json"
    )
    read: dict[str, Any] = json.loads(text)
    return read


@pytest.fixture(scope="module")
def ours(site: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Services of the project's own image."""
    return {name: one for name, one in site["services"].items() if one["image"] == IMAGE}


def seconds(duration: str) -> float:
    minutes, rest = duration.split("m") if "m" in duration else ("0", duration)
    return 60 * int(minutes) + parse_duration(rest).total_seconds()


def test_what_is_not_filled_in_is_named(shape: str, tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    done = run("docker-compose", "--env-file", tmp_path / ".env", "-f", FOLDER / f"{shape}.yaml", "config")
    assert done.stdout == ""
    assert "env.example" in done.stderr


def test_the_variables_of_each_container_are_read_and_right(ours: dict[str, dict[str, Any]]) -> None:
    for one in ours.values():
        settings, _ = settings_of(one["environment"])
        assert settings.app_env == "production"


def test_the_workers_of_a_shape_take_every_job(shape: str, ours: dict[str, dict[str, Any]]) -> None:
    workers = {name: one for name, one in ours.items() if name not in ("api", "prepare")}
    assert_shape(
        shape,
        (
            Group(name, one.get("deploy", {}).get("replicas", 1), settings_of(one["environment"])[1])
            for name, one in workers.items()
        ),
    )


def test_whatever_may_be_scaled_has_no_name_and_no_port_of_the_machine(ours: dict[str, dict[str, Any]]) -> None:
    for one in ours.values():
        assert "container_name" not in one
        assert "ports" not in one


def test_containers_of_the_image_write_to_their_volumes_only_and_have_no_capability(
    ours: dict[str, dict[str, Any]],
) -> None:
    for name, one in ours.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert {place.split(":")[0] for place in one["tmpfs"]} == {"/run/face", "/tmp"}, name
        assert all("uid=10001" in place for place in one["tmpfs"]), name
        assert [(place["source"], place["target"]) for place in one["volumes"]] == [("data", "/data")], name


def test_whatever_runs_has_limits_and_is_given_the_time_to_end(ours: dict[str, dict[str, Any]]) -> None:
    for name in set(ours) - {"prepare"}:
        one = ours[name]
        assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        settings, jobs = settings_of(one["environment"])
        needed = longest_end_s(settings) if name == "api" else jobs.stop_after_s
        assert seconds(one["stop_grace_period"]) > needed, name
        slots = 0 if name == "api" else jobs.slots
        assert int(one["deploy"]["resources"]["limits"]["memory"]) >> 20 > 1.5 * SLOT_MB * slots, name


def test_the_service_starts_when_its_stores_are_there(ours: dict[str, dict[str, Any]], site: dict[str, Any]) -> None:
    for name in set(ours) - {"prepare"}:
        assert ours[name]["depends_on"]["prepare"]["condition"] == "service_completed_successfully", name
    assert ours["prepare"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert site["services"]["nginx"]["depends_on"]["api"]["condition"] == "service_healthy"
    for name, one in site["services"].items():
        for needed, how in one.get("depends_on", {}).items():
            other = site["services"][needed]
            has_check = "healthcheck" in other or other["image"] == IMAGE
            assert how["condition"] != "service_healthy" or has_check, (name, needed)


def test_addresses_lead_to_containers_on_a_network_of_both(
    ours: dict[str, dict[str, Any]], site: dict[str, Any]
) -> None:
    networks = {name: set(one["networks"]) for name, one in site["services"].items()}
    for name, one in ours.items():
        for variable in ("DATABASE_URL", "REDIS_URL"):
            host = re.findall(r"@(\w+):", one["environment"][variable])[0]
            assert networks[name] & networks[host], (name, host)
    upstream = (FOLDER / "upstream.conf").read_text()
    host, port = re.findall(r"server (\w+):(\d+) resolve", upstream)[0]
    settings = settings_of(ours[host]["environment"])[0]
    assert settings.bind.rpartition(":")[2] == port
    assert networks["nginx"] & networks[host] == {"front"}
    [subnet] = site["networks"]["front"]["ipam"]["config"]
    assert ours["api"]["environment"]["FORWARDED_ALLOW_IPS"] == subnet["subnet"]
    assert ipaddress.ip_network(subnet["subnet"]).is_private
    assert {name for name, own in networks.items() if "front" in own} == {"nginx", "api"}
    assert site["networks"]["stores"]["internal"] is True
    assert {name for name, own in networks.items() if own & {"outside"}} & {
        "postgres",
        "redis",
        "api",
        "prepare",
    } == set()


def test_health_checks_ask_where_something_answers(ours: dict[str, dict[str, Any]]) -> None:
    for name in set(ours) - {"api", "prepare"}:
        _, jobs = settings_of(ours[name]["environment"])
        assert jobs.metrics_address is not None
        assert f"http://127.0.0.1:{jobs.metrics_address[1]}/health" in ours[name]["healthcheck"]["test"][-1], name


def test_nginx_has_the_tested_configuration(site: dict[str, Any]) -> None:
    places = {place["target"]: Path(place["source"]) for place in site["services"]["nginx"]["volumes"]}
    front = REPOSITORY / "deploy" / "nginx"
    assert places["/etc/nginx/conf.d/default.conf"] == front / "face.conf"
    assert places["/etc/nginx/face"] == front / "face"
    assert places["/etc/nginx/face/upstream.conf"] == FOLDER / "upstream.conf"
    assert (front / "face" / "upstream.conf").is_file(), "without it nothing can be mounted there"
    certificates = re.findall(r"ssl_certificate\w* (\S+)/\w+\.pem;", (front / "face" / "tls.conf").read_text())
    assert {f"/etc/nginx/{place}" for place in certificates} <= set(places)
    assert all(place["read_only"] for place in site["services"]["nginx"]["volumes"])


def test_redis_keeps_queues(site: dict[str, Any]) -> None:
    command = site["services"]["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_no_secret_has_a_default() -> None:
    text = EXAMPLE.read_text()
    for secret in ("FACE_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert re.search(rf"^{secret}=$", text, re.M)
