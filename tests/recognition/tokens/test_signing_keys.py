"""Signing keys: replaced while tokens are in use, noticed by every process, retired in time."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
import time
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from config.settings import load
from database import clock
from recognition.management.commands import rotate_signing_key
from recognition.tokens.signing import DECISION_AUDIENCE, LEEWAY_S, AccessClaims, DecisionClaims, InvalidToken, Signer
from recognition.tokens.signing_keys import CURRENT, SigningKeys, make_signing_key, rotate
from tenants.models import Tenant
from tenants.scopes import Scope
from testkit.service import REPOSITORY
from tests.clocks import STEPS_S, step
from tests.processes import run

CLAIMS = AccessClaims(7, uuid.UUID(int=7), frozenset({Scope.READ}))
DECISION = DecisionClaims("s", "acme", "authentication", "n", "success", "alice", "passed", None, {})
DAY_S = 86_400
NOBODY = 65_534


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.load(tmp_path)


@pytest.fixture
def directory(tmp_path: Path, signer: Signer) -> Path:
    return tmp_path / "keys"


def published(signer: Signer) -> list[str]:
    return [key["kid"] for key in signer.jwks()["keys"]]


def test_the_new_key_signs_at_once_and_the_old_one_still_verifies(signer: Signer, directory: Path) -> None:
    old_kid = signer.key_id
    access, decision = signer.sign_access(CLAIMS, 60), signer.sign_decision(DECISION, 60)
    rotate(directory, DAY_S)
    assert published(signer) == [signer.key_id, old_kid]
    assert jwt.get_unverified_header(signer.sign_access(CLAIMS, 60))["kid"] == signer.key_id != old_kid
    assert signer.read_access(access) == CLAIMS
    assert signer.read_access(signer.sign_access(CLAIMS, 60)) == CLAIMS
    key = jwt.PyJWKSet.from_dict(signer.jwks())[old_kid]
    assert jwt.decode(decision, key, ["EdDSA"], audience=DECISION_AUDIENCE)["subject"] == "alice"


def test_the_old_key_goes_when_its_time_is_over(
    signer: Signer, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = signer.sign_access(CLAIMS, 10 * DAY_S)
    rotate(directory, DAY_S)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY_S - 10)
    assert signer.read_access(old) == CLAIMS
    monkeypatch.setattr(time, "time", lambda: now + DAY_S + 10)
    assert published(signer) == [signer.key_id]
    with pytest.raises(InvalidToken):
        signer.read_access(old)


def test_a_rotation_under_a_fast_clock_loses_no_key(
    signer: Signer, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.sign_access(CLAIMS, 60)
    rotate(directory, 3_600)
    with monkeypatch.context() as fast:
        step(fast, 3 * 3_600)
        rotate(directory, 3_600)
    assert signer.read_access(token) == CLAIMS


@pytest.mark.parametrize(
    ("signed_s_ago", "valid"),
    [(-LEEWAY_S - 30, False), (-LEEWAY_S + 30, True), (LEEWAY_S - 30 + 10, True), (LEEWAY_S + 30 + 10, False)],
)
def test_a_clock_that_is_off_by_less_than_the_leeway_refuses_no_token(
    signer: Signer, monkeypatch: pytest.MonkeyPatch, signed_s_ago: float, valid: bool
) -> None:
    with monkeypatch.context() as signers:
        signed_at = clock.now() - timedelta(seconds=signed_s_ago)
        signers.setattr(clock, "now", lambda: signed_at)
        token = signer.sign_access(CLAIMS, 10)
    if valid:
        assert signer.read_access(token) == CLAIMS
    else:
        with pytest.raises(InvalidToken):
            signer.read_access(token)


@pytest.mark.parametrize("seconds", STEPS_S)
def test_an_access_token_outlives_a_step_of_the_machines_clock(
    signer: Signer, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    token = signer.sign_access(CLAIMS, 60)
    step(monkeypatch, seconds)
    assert signer.read_access(token) == CLAIMS


def test_the_protocol_states_the_leeway() -> None:
    assert f"allow {LEEWAY_S} seconds of leeway" in (REPOSITORY / "docs" / "protocol.md").read_text()


def test_without_an_overlap_every_older_key_goes_at_once(signer: Signer, directory: Path) -> None:
    tokens = [signer.sign_access(CLAIMS, 60)]
    rotate(directory, DAY_S)
    tokens.append(signer.sign_access(CLAIMS, 60))
    rotate(directory, 0)
    assert published(signer) == [signer.key_id]
    for token in tokens:
        with pytest.raises(InvalidToken):
            signer.read_access(token)


def test_several_rotations_in_a_row_lose_no_token(signer: Signer, directory: Path) -> None:
    tokens = []
    for _ in range(4):
        tokens.append(signer.sign_access(CLAIMS, 60))
        rotate(directory, DAY_S)
    assert len(published(signer)) == 5
    assert [signer.read_access(token) for token in tokens] == [CLAIMS] * 4


def test_files_are_for_the_service_only_and_no_old_private_key_is_left(signer: Signer, directory: Path) -> None:
    old = (directory / CURRENT).read_bytes()
    rotate(directory, DAY_S)
    files = {path.name: path for path in directory.glob("*.pem")}
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert all(path.read_bytes() != old for path in files.values())
    assert [name for name, path in files.items() if b"PRIVATE" in path.read_bytes()] == [CURRENT]


def test_what_has_retired_for_good_is_swept_by_the_next_rotation(signer: Signer, directory: Path) -> None:
    rotate(directory, DAY_S)
    (retired,) = directory.glob("retired-*.pem")
    retired.rename(retired.with_name(f"{retired.stem.rpartition('-')[0]}-1000.pem"))
    rotate(directory, DAY_S)
    assert len(list(directory.glob("retired-*.pem"))) == 1


def test_another_process_rotates_and_this_one_notices_without_a_restart(tmp_path: Path, signer: Signer) -> None:
    old_kid = signer.key_id
    done = run("-c", ROTATE_ELSEWHERE, str(tmp_path / "keys"))
    assert done.returncode == 0, done.stderr
    assert published(signer) == [done.stdout.strip(), old_kid]


ROTATE_ELSEWHERE = """
import sys
from pathlib import Path
from recognition.tokens.signing_keys import rotate
print(rotate(Path(sys.argv[1]), 3600).key_id)
"""

MANY_ROTATE = """
import multiprocessing, sys
from pathlib import Path
from recognition.tokens.signing_keys import rotate

context = multiprocessing.get_context("fork")

def one(_):
    return rotate(Path(sys.argv[1]), 3600).key_id

with context.Pool(4) as pool:
    print(len(set(pool.map(one, range(12), chunksize=1))))
"""


def test_rotations_at_once_come_one_after_the_other(signer: Signer, directory: Path) -> None:
    token = signer.sign_access(CLAIMS, 60)
    done = run("-c", MANY_ROTATE, str(directory))
    assert (done.returncode, done.stdout.strip()) == (0, "12"), done.stderr
    assert len(published(signer)) == 13
    assert signer.read_access(token) == CLAIMS


def test_a_token_is_never_without_its_key_while_keys_rotate(signer: Signer, tmp_path: Path) -> None:
    directory, other, failures = tmp_path / "keys", Signer.load(tmp_path), []
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            token = signer.sign_access(CLAIMS, 60)
            try:
                other.read_access(token)
            except InvalidToken:
                failures.append(token)

    users = [threading.Thread(target=use) for _ in range(2)]
    for user in users:
        user.start()
    for _ in range(20):
        rotate(directory, DAY_S)
    over.set()
    for user in users:
        user.join()
    assert failures == []


def test_keys_that_cannot_be_read_any_more_go_on(signer: Signer, directory: Path, caplog: Any) -> None:
    token, kid = signer.sign_access(CLAIMS, 60), signer.key_id
    good = (directory / CURRENT).read_bytes()
    (directory / CURRENT).unlink()
    assert (signer.key_id, signer.read_access(token)) == (kid, CLAIMS)
    (directory / CURRENT).write_text("not a key")
    assert (signer.key_id, signer.read_access(token)) == (kid, CLAIMS)
    assert "cannot be read" in caplog.text
    (directory / CURRENT).write_bytes(good)
    assert signer.key_id == kid


@pytest.mark.parametrize("kid", [None, "", "0" * 16, "../../secret-key"])
def test_a_token_that_names_no_key_of_ours_is_refused(signer: Signer, directory: Path, kid: str | None) -> None:
    private = SigningKeys(directory).current().private
    token = jwt.encode({"sub": "7"}, private, "EdDSA", headers={} if kid is None else {"kid": kid})
    with pytest.raises(InvalidToken):
        signer.read_access(token)


@pytest.mark.parametrize(
    "header",
    [b"[" * 20_000, b'{"a":' * 10_000, b'{"alg":"EdDSA","kid":["a"]}', b'{"alg":"none"}', b"\xff", b"7", b""],
)
def test_a_token_that_is_none_is_refused(signer: Signer, header: bytes) -> None:
    for text in (header.decode("latin-1"), base64.urlsafe_b64encode(header).decode().rstrip("=")):
        with pytest.raises(InvalidToken):
            signer.read_access(f"{text}.{text}.{text}")


def command(data_dir: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    settings = load({"FACE_DATA_DIR": str(data_dir)})
    monkeypatch.setattr(rotate_signing_key, "service_settings", lambda: settings)
    out = StringIO()
    call_command("rotate_signing_key", *arguments, stdout=out)
    return out.getvalue()


def test_a_rotation_is_done_also_where_it_cannot_be_recorded(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_database() -> None:
        raise OperationalError("no such file")

    monkeypatch.setattr(Tenant.objects, "all", no_database)
    told = json.loads(command(tmp_path, monkeypatch, "--json"))
    assert told["kid"] == signer.key_id
    assert "could not be recorded in the audit trail: no such file" in capsys.readouterr().err


def test_the_command_rotates_and_tells_what_is_published(
    transactional_db: None, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_kid = signer.key_id
    told = json.loads(command(tmp_path, monkeypatch, "--json"))
    assert told == {"kid": signer.key_id, "published": [signer.key_id, old_kid]}
    assert old_kid not in command(tmp_path, monkeypatch, "--overlap", "0")
    assert published(signer) == [signer.key_id]


@pytest.mark.parametrize("overlap", ["60", "15m", "16m", "soon"])
def test_an_overlap_shorter_than_a_tokens_life_is_refused(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlap: str
) -> None:
    kid = signer.key_id
    with pytest.raises(CommandError, match=r"tokens live for 900 s|use a number of seconds"):
        command(tmp_path, monkeypatch, "--overlap", overlap)
    assert published(signer) == [kid]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_run_by_root_it_writes_files_that_the_services_user_can_read() -> None:
    with tempfile.TemporaryDirectory() as name:  # Pytest's own directories are closed to other users.
        directory = make_signing_key(Path(name))
        for path in (Path(name), directory, directory / CURRENT):
            os.chown(path, NOBODY, NOBODY)
        done = run("manage.py", "rotate_signing_key", FACE_DATA_DIR=name)
        assert done.returncode == 0, done.stderr
        owners = {path.name: path.stat().st_uid for path in directory.glob("*.pem")}
    assert list(owners.values()) == [NOBODY, NOBODY], owners
