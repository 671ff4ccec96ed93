"""./service.sh, as an operator calls it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.service_script import left_behind
from supervision.processes import environment_of
from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.job_site import MANAGE, wait_for
from testkit.script_site import SCRIPT, ScriptSite, script_site
from testkit.service import REPOSITORY
from testkit.stream_client import play

DRAIN_S = 2.0
SMALL = ("--workers", "1", "--pool-size", "1")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ScriptSite]:
    with script_site(tmp_path, FACE_DRAIN_S=f"{DRAIN_S:g}", FACE_RECOGNITION_TIME_LIMIT_S="600") as site:
        yield site


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptSite]:
    """Two workers, and the job worker beside them."""
    with script_site(tmp_path_factory.mktemp("running"), FACE_DRAIN_S="1", WORKER_CONCURRENCY="1") as site:
        said = site.must("start", "--workers", "2", "--pool-size", "2")
        assert "[4/5] Models and database" in said
        assert "2 of 2 workers are ready" in said
        assert "the service is ready after" in said
        yield site


def test_help_and_wrong_usage() -> None:
    helped = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    for verb in ("start", "start_workers", "start_background", "stop", "restart", "reload", "scale", "status", "logs"):
        assert f"\n  {verb} " in helped
    for arguments, problem in (([], "which verb"), (["begin"], "unknown verb 'begin'")):
        done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, problem in done.stderr) == (2, True)


def test_what_does_not_run_is_told_with_a_code_for_each_verb(site: ScriptSite) -> None:
    done = {verb: site.run(*verb.split()) for verb in ("stop", "status", "reload", "scale 2", "logs")}
    codes = {verb: one.returncode for verb, one in done.items()}
    assert codes == {"stop": 0, "status": 3, "reload": 7, "scale 2": 7, "logs": 1}
    for verb in ("stop", "status", "reload", "scale 2"):
        assert "the service is not running" in done[verb].stdout
    assert site.run("scale", "0").returncode == site.run("scale", "many").returncode == 2


def test_a_start_that_fails_says_why_and_leaves_nothing(site: ScriptSite) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        taken = site.run("start")
    assert taken.returncode == 1
    assert f"port {site.port} on 127.0.0.1 is taken" in taken.stdout
    wrong = site.run("start", FACE_MESH_POOL_SIZE="none")
    assert wrong.returncode == 1
    assert "FACE_MESH_POOL_SIZE='none'" in wrong.stdout
    assert "is taken" not in wrong.stdout, "only lines of this start"
    assert not (site.data_dir / "run" / "service.pid").exists()
    assert site.processes() == []


def test_status_counts_what_runs_as_a_table_and_as_json(running: ScriptSite) -> None:
    wait_for(lambda: "jobs" in {one["role"] for one in running.status()["processes"]}, "a job worker")
    told = running.status()
    assert (told["service"], told["background"], told["fault"], told["workers"]) == ("running", "stopped", None, 2)
    assert told["master"]["wanted"] == 2
    master = psutil.Process(told["master"]["pid"])
    family = {master.pid, *(child.pid for child in master.children(recursive=True))}
    assert {one["pid"] for one in told["processes"]} == family
    for worker in [one for one in told["processes"] if one["role"] == "worker"]:
        seen = psutil.Process(worker["pid"])
        assert worker["pool"]["max_size"] == 2
        assert worker["threads"] == pytest.approx(seen.num_threads(), abs=3)
        assert worker["rss_bytes"] == pytest.approx(seen.memory_info().rss, rel=0.1)
        assert worker["pss_bytes"] == pytest.approx(seen.memory_full_info().pss, rel=0.1)
    assert told["totals"]["pss_bytes"] == sum(one["pss_bytes"] for one in told["processes"])
    table = running.must("status").splitlines()
    assert "keeps 2 workers" in table[0]
    assert table[1] == "it is ready"
    assert len([line for line in table if "  worker  " in line]) == 2


def test_a_second_start_is_told_and_is_no_fault(running: ScriptSite) -> None:
    done = running.run("start")
    assert (done.returncode, f"already running (process {running.pid()})" in done.stdout) == (0, True)
    assert running.status()["workers"] == 2


def test_a_scale_survives_a_reload(running: ScriptSite) -> None:
    assert "scaled from 2 to 3 workers" in running.must("scale", "3")
    before = set(running.status()["master"]["workers"])
    assert "reloaded" in running.must("reload")
    wait_for(lambda: not before & set(running.status()["master"]["workers"]), "the old workers have ended")
    told = running.status()
    assert (told["master"]["wanted"], told["workers"], told["master"]["reloads"]) == (3, 3, 1)
    os.kill(running.pid(), signal.SIGHUP)  # As `kill -HUP $(cat FILE)` does.
    wait_for(lambda: running.status()["master"]["reloads"] == 2, "the second reload")
    assert running.status()["master"]["wanted"] == 3
    running.must("scale", "2")
    wait_for(lambda: running.status()["workers"] == 2, "two workers")


def test_what_was_started_elsewhere_is_not_ended(running: ScriptSite, tmp_path: Path) -> None:
    """As under systemd, whose service has the same files but for this one."""
    pid_file = running.data_dir / "run" / "service.pid"
    hidden = pid_file.rename(tmp_path / "service.pid")
    try:
        done = running.run("stop")
        assert done.returncode == 1
        assert "was not started by service.sh" in done.stdout
        assert running.status()["workers"] == 2
    finally:
        hidden.rename(pid_file)


def test_logs_are_shown(running: ScriptSite) -> None:
    assert "worker ready in" in running.must("logs", "-n", "1000")


def submit_five(site: ScriptSite) -> None:
    submit = "from jobs.submitting import *; submit_many(None, [NewJob(JobType.NOOP)] * 5)"
    variables = {"FACE_DATA_DIR": str(site.data_dir), "PYTHONPATH": str(REPOSITORY / "face_recognition_app")}
    subprocess.run([sys.executable, MANAGE, "shell", "--no-imports", "-c", submit], env=variables, check=True)


async def read_to_the_end(opened: ClientConnection) -> str:
    messages = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(str(await opened.recv()))
    assert opened.close_code == 1012
    return "".join(messages)


async def test_a_stop_gives_sessions_their_time_and_leaves_nothing(site: ScriptSite) -> None:
    site.must("start_workers", *SMALL)
    submit_five(site)
    told = site.status()
    assert [(queue["type"], queue["queued"]) for queue in told["queues"]] == [("noop", 5)]
    assert {one["role"] for one in told["processes"]} == {"master", "worker"}, "requests alone"
    address = f"ws://127.0.0.1:{site.port}/ws/auth/process-image/test_script/"
    async with connect(address, proxy=None) as opened:
        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(site.must, "stop"))
        told_by_socket = await read_to_the_end(opened)
    assert "the service has ended" in await stopping
    assert time.monotonic() - began >= DRAIN_S
    assert "server_draining" in told_by_socket
    assert left_behind(site) == []


def test_what_a_dead_master_left_is_told_and_cleaned_up(site: ScriptSite) -> None:
    site.must("start_workers", *SMALL)
    (worker,) = site.status()["master"]["workers"]
    os.kill(worker, signal.SIGSTOP)  # It cannot end by itself.
    os.kill(site.pid(), signal.SIGKILL)
    wait_for(lambda: site.run("status").returncode == 1, "the death is told")
    assert "has died" in site.run("status").stdout
    assert "already running" in site.run("start").stdout
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: site.run("status").returncode == 3, "nothing lives")
    assert (site.data_dir / "run" / "service.pid").exists(), "it is stale"
    assert "the service is ready" in site.must("start_workers", *SMALL), "which hinders no start"
    for pid in (*site.status()["master"]["workers"], site.pid()):
        os.kill(pid, signal.SIGSTOP)
    assert "they are killed" in site.must("stop")
    assert left_behind(site) == []


def test_background_jobs_run_by_themselves(site: ScriptSite) -> None:
    assert "the job worker is ready" in site.must("start_background", "--concurrency", "1")
    assert "already running" in site.must("start_background")
    site.must("restart")
    told = site.status()
    assert (told["service"], told["background"], told["workers"]) == ("stopped", "running", 0)
    assert "the job worker has ended" in site.must("stop")
    assert site.processes() == []


async def test_a_rollback_serves_with_one_process_at_the_same_place(site: ScriptSite) -> None:
    """People who were enrolled are known, and a session that was begun goes on."""
    site.must("start_workers", *SMALL, "--bind", f"127.0.0.1:{site.port}", GUNICORN_BIND="")
    picture, service = encode_jpeg(astronaut()), site.live()
    enrolled = loopback.post(
        f"{service.base_url}/api/v1/subjects/one/templates/",
        headers={"Authorization": f"Bearer {service.api_key}"},
        files={"images": picture},
        timeout=60,
    )
    assert enrolled.status_code == 201, enrolled.text
    async with service.client() as client:
        created = await client.create_session("authentication", "one", "none")
    async with connect(created.websocket_url, proxy=None) as opened:
        said = await asyncio.to_thread(site.must, "rollback", GUNICORN_BIND="")
        assert "server_draining" in await read_to_the_end(opened)
    assert f"Uvicorn on 127.0.0.1:{site.port}" in said
    told = site.status()
    assert (told["service"], told["workers"], told["fault"]) == ("single", 1, None)
    assert [one["role"] for one in told["processes"]] == ["single"]
    result = await play(created.websocket_url, [picture] * 20)
    assert result.completed is not None
    assert result.completed["success"], result.completed
    for verb in (["scale", "2"], ["reload"]):
        refused = site.run(*verb)
        assert (refused.returncode, "rolled back" in refused.stdout) == (1, True)
    assert f"Gunicorn on 127.0.0.1:{site.port}" in site.must("restart", GUNICORN_BIND="")
    assert site.status()["service"] == "running"
    assert environment_of(site.status()["master"]["pid"])["ENABLE_BACKGROUND_TASKS"] == "false"
