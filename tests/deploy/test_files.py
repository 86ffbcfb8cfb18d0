"""The files in deploy/ name what exists: images, commands, routes and settings; and they let a process end in time."""

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from commands import COMMAND
from e2e.served import ROOT

from gateway.app.server import LEFTOVER_GRACE, REQUEST_GRACE
from gateway.cli.main import app
from gateway.timings import Timings

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.-]+)?")
SHUTDOWN = REQUEST_GRACE + Timings().shutdown_grace + Timings().cancel_grace + 2 * LEFTOVER_GRACE  # seconds at most

# https://github.com/compose-spec/compose-spec/blob/main/05-services.md
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "deploy", "env_file", "environment", "healthcheck", "image", "ports",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OBJECTS: dict[tuple[str, str], Any] = {
    (each["kind"], each["metadata"]["name"]): each
    for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
PODS = {name: each["spec"]["template"]["spec"] for name, each in OBJECTS.items() if name[0] in ("Job", "Deployment")}


def unit(path: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_every_image_has_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += [container["image"] for pod in PODS.values() for container in pod["containers"]]
    froms = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert len(set(froms)) == 1
    assert [image for image in images + froms if not PINNED.fullmatch(image)] == []


def test_every_command_exists() -> None:
    known = typer.main.get_group(app).commands
    started = [service["command"] for name, service in SERVICES.items() if service["image"].startswith("understudy")
               and "command" in service]  # fmt: skip
    started += [container["args"] for pod in PODS.values() for container in pod["containers"] if "args" in container]
    for path in UNITS:
        program, *arguments = unit(path)["Service"]["ExecStart"].split()
        assert program.endswith("/understudy")
        started.append(arguments)
    assert len(started) == 6
    assert {arguments[0] for arguments in started} == {"db", "serve", "worker"} & known.keys()


def test_compose_has_keys_that_exist_and_services_that_depend_on_one_another() -> None:
    assert [key for service in SERVICES.values() for key in service if key not in SERVICE_KEYS] == []
    assert {needed for service in SERVICES.values() for needed in service.get("depends_on", {})} < SERVICES.keys()
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert {volume for volume in named if not volume.startswith(".")} == COMPOSE["volumes"].keys()
    assert (DEPLOY / "Caddyfile").is_file()


def test_no_process_is_killed_before_its_shutdown_can_end() -> None:
    served = [service for service in SERVICES.values() if service["image"].startswith("understudy")]
    graces = [seconds(service["stop_grace_period"]) for service in served]
    graces += [float(unit(path)["Service"]["TimeoutStopSec"]) for path in UNITS]
    for name, pod in PODS.items():
        if name[0] == "Deployment":
            (container,) = pod["containers"]
            slept = container["lifecycle"]["preStop"]["exec"]["command"][1] if "lifecycle" in container else 0
            graces.append(pod["terminationGracePeriodSeconds"] - float(slept))
    assert len(graces) == 7
    assert [grace for grace in graces if grace <= SHUTDOWN] == []


def test_the_probes_ask_the_routes_that_are_for_them() -> None:
    (web,) = PODS["Deployment", "understudy-web"]["containers"]
    (port,) = web["ports"]
    paths = {name: web[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {web[name]["httpGet"]["port"] for name in paths} == {port["name"]}
    assert OBJECTS["Service", "understudy"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_every_pod_runs_without_privileges_and_writes_nowhere_but_to_tmp() -> None:
    for pod in PODS.values():
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
            assert mounted == {volume["name"] for volume in pod.get("volumes", ())}


def test_the_service_and_the_ingress_lead_to_the_pods_that_take_messages() -> None:
    selector = OBJECTS["Service", "understudy"]["spec"]["selector"]
    deployments = [each for (kind, _), each in OBJECTS.items() if kind == "Deployment"]
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in deployments}
    assert [name for name, each in labels.items() if selector.items() <= each.items()] == ["understudy-web"]
    ingress = OBJECTS["Ingress", "understudy"]["spec"]
    (rule,), (tls,) = ingress["rules"], ingress["tls"]
    assert tls["hosts"] == [rule["host"]]
    assert [path["backend"]["service"]["name"] for path in rule["http"]["paths"]] == ["understudy"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit(path: Path, processes: None, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace("/opt/understudy/bin/understudy", str(COMMAND)))
    ended = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_confined_and_restarts_unless_a_setting_is_wrong(path: Path) -> None:
    service = unit(path)["Service"]
    assert (service["DynamicUser"], service["ProtectSystem"]) == ("yes", "strict")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
