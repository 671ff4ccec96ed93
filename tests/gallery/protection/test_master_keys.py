"""Master keys from the environment, a file or a command; what is wrong with one is said without showing it."""

from __future__ import annotations

import base64
import secrets
import shlex
import sys
from pathlib import Path

import pytest

from config.settings import SettingsError, load
from gallery.protection import master_keys
from gallery.protection.errors import MasterKeyError
from gallery.protection.master_keys import MasterKeys

BOUND = b"somewhere"


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Keys:
    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, **variables: str) -> MasterKeys:
        return MasterKeys.load(load({"FACE_DATA_DIR": str(self.data_dir), **variables}))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def printing(text: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(f'print({text!r})')}"


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_key_is_the_same_wherever_it_comes_from(keys: Keys, tmp_path: Path) -> None:
    key = new_key()
    given = [
        keys(FACE_TEMPLATE_KEY=key),
        keys(FACE_TEMPLATE_KEY=key.translate(str.maketrans("+/", "-_")).rstrip("=")),
        keys(FACE_TEMPLATE_KEY_FILE=written(tmp_path / "key", f"{key}\n")),
        keys(FACE_TEMPLATE_KEY_COMMAND=printing(key)),
    ]
    assert len({one.newest.id for one in given}) == 1
    wrapped = given[0].newest.wrap(b"secret", BOUND)
    assert [one.newest.unwrap(wrapped, BOUND) for one in given] == [b"secret"] * 4
    assert given[0].newest.unwrap(wrapped, b"elsewhere") is None
    assert given[0].newest.unwrap(wrapped[:-1] + b"x", BOUND) is None
    assert keys(FACE_TEMPLATE_KEY=new_key()).newest.unwrap(wrapped, BOUND) is None


def test_the_first_of_several_is_the_newest_and_the_others_are_read(keys: Keys, tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    before = keys(FACE_TEMPLATE_KEY=old)
    for both in (
        keys(FACE_TEMPLATE_KEY=f"{new}, {old}"),
        keys(FACE_TEMPLATE_KEY_FILE=written(tmp_path / "key", f"{new}\n{old}\n")),
    ):
        assert both.newest.id == keys(FACE_TEMPLATE_KEY=new).newest.id
        assert before.newest.id in both.by_id


def test_without_one_it_is_derived_from_the_secret_key_and_stays_readable_beside_another(keys: Keys) -> None:
    made = keys()
    assert keys().newest.id == made.newest.id, "of an installation in development, from the file it has made"
    production = {"APP_ENV": "production", "FACE_SECRET_KEY": secrets.token_urlsafe(48)}
    derived = keys(**production)
    assert derived.newest.id != made.newest.id
    given = keys(**production, FACE_TEMPLATE_KEY=new_key())
    assert given.newest.id != derived.newest.id
    assert derived.newest.id in given.by_id


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("c2hvcnQ=", "key 1 of .* has 5 bytes and not 32: make one with: openssl rand -base64 32"),
        ("not!base64", "key 1 of .* is not base64"),
        (base64.b64encode(b"a" * 32).decode(), "key 1 of .* is not random"),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(keys: Keys, tmp_path: Path, text: str, complaint: str) -> None:
    for variables in (
        {"FACE_TEMPLATE_KEY": text},
        {"FACE_TEMPLATE_KEY_FILE": written(tmp_path / "key", text)},
        {"FACE_TEMPLATE_KEY_COMMAND": printing(text)},
    ):
        with pytest.raises(MasterKeyError, match=complaint) as raised:
            keys(**variables)
        assert text not in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o606])
def test_a_file_that_others_may_use_is_refused(keys: Keys, tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "key", new_key(), mode)
    with pytest.raises(MasterKeyError, match=f"may be used by others .mode {mode:o}.: chmod 600"):
        keys(FACE_TEMPLATE_KEY_FILE=path)


def test_a_file_that_is_missing_or_empty_is_refused(keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyError, match="cannot be read: No such file"):
        keys(FACE_TEMPLATE_KEY_FILE=str(tmp_path / "none"))
    with pytest.raises(MasterKeyError, match="FACE_TEMPLATE_KEY_FILE gives no key"):
        keys(FACE_TEMPLATE_KEY_FILE=written(tmp_path / "empty", "\n"))


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("true", "gives no key"),
        ("false", "failed with status 1"),
        ("/nowhere/at-all", "cannot be run: No such file"),
        ("'unbalanced", "is no command"),
    ],
)
def test_a_command_that_gives_no_key_is_refused(keys: Keys, command: str, complaint: str) -> None:
    with pytest.raises(MasterKeyError, match=f"FACE_TEMPLATE_KEY_COMMAND {complaint}"):
        keys(FACE_TEMPLATE_KEY_COMMAND=command)


def test_a_command_that_does_not_end_is_stopped(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "COMMAND_TIMEOUT_S", 0.2)
    with pytest.raises(MasterKeyError, match=r"printed no key in 0\.2 s"):
        keys(FACE_TEMPLATE_KEY_COMMAND="sleep 60")


def test_a_command_does_not_get_the_secrets_of_the_service(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_SECRET_KEY", new_key())
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:password@127.0.0.1/face")
    check = "import os, sys; sys.exit(any(name in os.environ for name in ('FACE_SECRET_KEY', 'DATABASE_URL')) * 3)"
    with pytest.raises(MasterKeyError, match="gives no key"):
        keys(FACE_TEMPLATE_KEY_COMMAND=f"{shlex.quote(sys.executable)} -c {shlex.quote(check)}")


def test_keys_come_from_one_place() -> None:
    with pytest.raises(SettingsError, match="set one of FACE_TEMPLATE_KEY, FACE_TEMPLATE_KEY_FILE"):
        load({"FACE_TEMPLATE_KEY": new_key(), "FACE_TEMPLATE_KEY_COMMAND": "true"})


def test_settings_show_no_key_even_where_another_one_is_wrong() -> None:
    key = new_key()
    assert key not in repr(load({"FACE_TEMPLATE_KEY": key}))
    with pytest.raises(SettingsError) as raised:
        load({"FACE_TEMPLATE_KEY": key, "FACE_TEMPLATE_KEY_COMMAND": "true", "GUNICORN_WORKERS": "x"})
    assert key[:16] not in f"{raised.value} {raised.value.__cause__}"
