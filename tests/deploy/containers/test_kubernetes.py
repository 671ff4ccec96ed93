"""The manifests for Kubernetes, rendered by kubectl, against its schemas, each other and the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from testkit.service import REPOSITORY
from tests.deploy.containers.programs import output_of, run
from tests.deploy.containers.shapes import SECRETS, SHAPES, SLOT_MB, Group, assert_shape, longest_end_s, settings_of

FOLDER = REPOSITORY / "deploy" / "kubernetes"
DOCUMENT = REPOSITORY / "docs" / "operations" / "containers.md"
WITHOUT_SCHEMA = {"ServiceMonitor", "PodMonitor"}
CONTROLLERS = ("Deployment", "StatefulSet")
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    manifests: list[Manifest]

    def of(self, *kinds: str) -> list[Manifest]:
        return [one for one in self.manifests if one["kind"] in kinds]

    def named(self, kind: str, name: str) -> Manifest:
        [found] = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return found

    def selected(self, labels: dict[str, str]) -> list[Manifest]:
        """Deployments and StatefulSets whose pods have these labels."""
        return [one for one in self.of(*CONTROLLERS) if labels.items() <= template(one)["metadata"]["labels"].items()]

    def ours(self) -> list[Manifest]:
        return self.selected({"part-of": "face"})

    def environment(self, container: Manifest) -> dict[str, str]:
        """Variables of a container, those of the Secret and of labels filled in."""
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            variables |= self.named("ConfigMap", source["configMapRef"]["name"])["data"]
        for one in container["env"]:
            if "value" in one:
                variables[one["name"]] = one["value"]
            elif "secretKeyRef" in one["valueFrom"]:
                variables[one["name"]] = SECRETS[one["valueFrom"]["secretKeyRef"]["key"]]
        return variables


def template(controller: Manifest) -> Manifest:
    found: Manifest = controller["spec"]["template"]
    return found


def containers(controller: Manifest) -> Iterator[Manifest]:
    spec = template(controller)["spec"]
    yield from [*spec.get("initContainers", []), *spec["containers"]]


def main_container(controller: Manifest) -> Manifest:
    [found] = template(controller)["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def ports(controller: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in main_container(controller)["ports"]}


def group_of(controller: Manifest) -> str:
    return str(template(controller)["metadata"]["labels"].get("group", ""))


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def rendered(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kubernetes") / f"{shape}.yaml"
    file.write_text(output_of("kubectl", "kustomize", FOLDER / "overlays" / shape))
    return file


@pytest.fixture(scope="module")
def site(rendered: Path) -> Site:
    return Site(list(yaml.safe_load_all(rendered.read_text())))


def test_kubernetes_schemas_hold(rendered: Path) -> None:
    done = run("kubernetes-validate", "--strict", rendered)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert set(re.findall(r"Couldn't find schema for kind (\w+)", said)) == WITHOUT_SCHEMA


def test_everything_is_in_the_namespace(site: Site) -> None:
    [namespace] = site.of("Namespace")
    inside = {one["metadata"]["namespace"] for one in site.manifests if one["kind"] != "Namespace"}
    assert inside == {namespace["metadata"]["name"]} == {"production"}


def test_a_controller_selects_its_own_pods_only(site: Site) -> None:
    for one in site.of(*CONTROLLERS):
        assert site.selected(one["spec"]["selector"]["matchLabels"]) == [one]


def test_whatever_selects_pods_finds_some_with_the_ports_it_names(site: Site) -> None:
    for service in site.of("Service"):
        [behind] = site.selected(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports(behind))
    for monitor in site.of("PodMonitor"):
        found = site.selected(monitor["spec"]["selector"]["matchLabels"])
        assert found
        wanted = {end["port"] for end in monitor["spec"]["podMetricsEndpoints"]}
        assert all(wanted <= set(ports(one)) for one in found)
    for policy in site.of("NetworkPolicy"):
        found = site.selected(policy["spec"]["podSelector"]["matchLabels"])
        assert found, policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress", []):
            assert all({port["port"] for port in rule["ports"]} <= set(ports(one)) for one in found)
            for peer in rule["from"]:
                assert "podSelector" not in peer or site.selected(peer["podSelector"]["matchLabels"])
    for budget in site.of("PodDisruptionBudget"):
        assert len(site.selected(budget["spec"]["selector"]["matchLabels"])) == 1


def test_services_are_found_by_what_points_to_them(site: Site) -> None:
    for monitor in site.of("ServiceMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"].items()
        [service] = [one for one in site.of("Service") if labels <= one["metadata"].get("labels", {}).items()]
        assert {end["port"] for end in monitor["spec"]["endpoints"]} <= {
            one["name"] for one in service["spec"]["ports"]
        }
    for ingress in site.of("Ingress"):
        assert {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]} == {
            rule["host"] for rule in ingress["spec"]["rules"]
        }
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                to = path["backend"]["service"]
                service = site.named("Service", to["name"])
                assert to["port"]["name"] in {one["name"] for one in service["spec"]["ports"]}
    for stateful in site.of("StatefulSet"):
        assert site.named("Service", stateful["spec"]["serviceName"])
    for address in (SECRETS["DATABASE_URL"], SECRETS["REDIS_URL"]):
        host, port = re.findall(r"@(\w+):(\d+)/", address)[0]
        assert int(port) in {one["port"] for one in site.named("Service", host)["spec"]["ports"]}
        [egress] = site.named("NetworkPolicy", "face-stores")["spec"]["egress"]
        assert int(port) in {one["port"] for one in egress["ports"]}


def test_volumes_and_secrets_that_are_named_are_there(site: Site) -> None:
    told = set(re.findall(r"--from-literal=(\w+)=", DOCUMENT.read_text()))
    asked = set()
    for one in site.of(*CONTROLLERS):
        spec = template(one)["spec"]
        claimed = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
        for volume in spec.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert site.named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        known = {volume["name"] for volume in spec.get("volumes", [])} | claimed
        for container in containers(one):
            assert {mount["name"] for mount in container["volumeMounts"]} <= known
            secrets = [
                env["valueFrom"]["secretKeyRef"]
                for env in container["env"]
                if "secretKeyRef" in env.get("valueFrom", {})
            ]
            assert {secret["name"] for secret in secrets} <= {"face-secrets"}
            asked |= {secret["key"] for secret in secrets}
    assert asked == told
    assert site.of("Secret") == []


def test_the_variables_of_each_container_are_read_and_right(site: Site) -> None:
    for one in site.ours():
        for container in containers(one):
            settings, jobs = settings_of(site.environment(container))
            assert settings.app_env == "production"
            assert "WORKER_GROUP" in str(container["env"]) or container["name"] == "prepare" or not group_of(one)
            if container["name"] == "prepare":
                # A lock of all pods, on the volume of all.
                assert settings.run_dir.is_relative_to(settings.data_dir)
        assert jobs.metrics_address is not None
        wanted = {"metrics": jobs.metrics_address[1]}
        if one["metadata"]["name"] == "face-api":
            assert settings.admin_bind
            binds = {"http": settings.bind, "admin": settings.admin_bind}
            wanted = {name: int(bind.rpartition(":")[2]) for name, bind in binds.items()}
        assert ports(one) == wanted
        host = site.of("Ingress")[0]["spec"]["rules"][0]["host"]
        assert settings.public_url is not None
        assert (settings.public_url.scheme, settings.public_url.host) == ("https", host)


def test_the_workers_of_a_shape_take_every_job(shape: str, site: Site) -> None:
    workers = [one for one in site.ours() if group_of(one)]
    least = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["minReplicas"] for one in site.of("HorizontalPodAutoscaler")
    }
    assert_shape(
        shape,
        (
            Group(
                group_of(one),
                least.get(one["metadata"]["name"], 1),
                settings_of(site.environment(main_container(one)))[1],
            )
            for one in workers
        ),
    )


def test_autoscalers_change_what_nothing_else_sets_by_metrics_that_are_there(site: Site) -> None:
    rules = yaml.safe_load((FOLDER / "prometheus-adapter-values.yaml").read_text())["rules"]
    served = {
        kind: {rule["name"]["as"] for rule in rules[key]}
        for kind, key in (("External", "external"), ("Pods", "custom"))
    }
    for scaler in site.of("HorizontalPodAutoscaler"):
        spec = scaler["spec"]
        target = site.named("Deployment", spec["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"]
        for metric in spec["metrics"]:
            if metric["type"] in served:
                assert metric[metric["type"].lower()]["metric"]["name"] in served[metric["type"]]
            else:
                assert metric["resource"]["name"] in main_container(target)["resources"]["requests"]
        if group_of(target):
            [metric] = spec["metrics"]
            _, jobs = settings_of(site.environment(main_container(target)))
            assert metric["external"]["metric"]["selector"]["matchLabels"] == {"group": group_of(target)}
            assert metric["external"]["target"]["averageValue"] == str(jobs.slots)
    metrics = {one["type"]: one for one in site.named("HorizontalPodAutoscaler", "face-api")["spec"]["metrics"]}
    assert set(metrics) == {"Resource", "Pods"}
    code = (REPOSITORY / "face_recognition_app" / "monitoring").rglob("*.py")
    assert any(f'"{metrics["Pods"]["pods"]["metric"]["name"]}"' in path.read_text() for path in code)


def test_a_pod_is_given_the_time_to_end(site: Site) -> None:
    for one in site.ours():
        spec, container = template(one)["spec"], main_container(one)
        settings, jobs = settings_of(site.environment(container))
        if group_of(one):
            assert spec["terminationGracePeriodSeconds"] > jobs.stop_after_s
        else:
            waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert spec["terminationGracePeriodSeconds"] >= waits + longest_end_s(settings)
            assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_are_what_the_strictest_standard_allows(site: Site) -> None:
    assert site.of("Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in site.of(*CONTROLLERS):
        pod = template(one)["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(one):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}


def test_slots_have_the_memory_they_take(site: Site) -> None:
    for one in site.ours():
        container = main_container(one)
        _, jobs = settings_of(site.environment(container))
        if group_of(one):
            memory = container["resources"]["limits"]["memory"]
            assert 1024 * int(memory.removesuffix("Gi")) > 1.5 * SLOT_MB * jobs.slots, group_of(one)


def test_probes_ask_where_something_answers(site: Site) -> None:
    for one in site.ours():
        container = main_container(one)
        probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe")}
        path = "/health" if group_of(one) else "/api/health/"
        assert {probe["path"] for probe in probes.values()} == {path}
        assert {probe["port"] for probe in probes.values()} <= set(ports(one))
        if not group_of(one):
            assert container["readinessProbe"]["httpGet"] == {"path": "/api/ready/", "port": "http"}
