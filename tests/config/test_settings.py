from __future__ import annotations

from pathlib import Path

import pytest

from config.public_url import PublicUrl
from config.settings import REPOSITORY, Settings, SettingsError, load
from config.sizing.machine import Machine

STRONG = "Zk3-unguessable-and-long-enough-9Qx7"

EVERY_VARIABLE: list[tuple[str, str, str, object]] = [
    ("APP_ENV", "staging", "app_env", "staging"),
    ("WORKER_PROFILE", "moderate", "worker_profile", "moderate"),
    ("API_WORKERS", "8", "workers", 8),
    ("GUNICORN_WORKERS", "3", "workers", 3),
    ("GUNICORN_BIND", "127.0.0.1:9000", "bind", "127.0.0.1:9000"),
    ("GUNICORN_TIMEOUT", "30", "timeout_s", 30),
    ("GUNICORN_KEEPALIVE", "5", "keepalive_s", 5),
    ("GUNICORN_BACKLOG", "4096", "backlog", 4096),
    ("GUNICORN_MAX_REQUESTS", "1000", "max_requests", 1000),
    ("GUNICORN_MAX_REQUESTS_JITTER", "50", "max_requests_jitter", 50),
    ("PRELOAD_APP", "true", "preload", True),
    ("FACE_DRAIN_S", "7.5", "drain_s", 7.5),
    ("LOG_LEVEL", "warn", "given_log_level", "warning"),
    ("LOG_FORMAT", "json", "log_format", "json"),
    ("LOG_CONSOLE_ENABLED", "false", "log_console", False),
    ("LOG_FILE_ENABLED", "true", "log_file", True),
    ("LOG_FILE_PATH", "/var/log/face/web.log", "log_file_path", Path("/var/log/face/web.log")),
    ("LOG_FILE_MAX_SIZE_MB", "2", "log_file_max_mb", 2),
    ("LOG_FILE_MAX_BACKUPS", "3", "log_file_backups", 3),
    ("GUNICORN_LOG_LEVEL", "debug", "web_log_level", "debug"),
    ("FACE_MESH_POOL_SIZE", "2", "mesh_pool_size", 2),
    ("FACE_COMPUTE_THREADS", "1", "threads", 1),
    ("FACE_MESH_BACKEND", "mediapipe", "mesh_backend", "mediapipe"),
    ("FACE_BYSTANDERS", "refuse", "bystanders", "refuse"),
    ("FACE_MODEL_MIRROR", "/mirror", "model_mirror", Path("/mirror")),
    ("FACE_EMBEDDER", "/models/other.onnx", "embedder", Path("/models/other.onnx")),
    ("FACE_FORMER_EMBEDDER", "pinned", "former_embedder", "pinned"),
    ("FACE_MESH_MAX_USES", "500", "mesh_max_uses", 500),
    ("FACE_WORKER_MAX_MEMORY_MB", "512", "worker_max_memory_mb", 512),
    ("DATABASE_URL", "postgresql://db/face", "database_url", "postgresql://db/face"),
    ("REDIS_URL", "redis://cache/0", "redis_url", "redis://cache/0"),
    ("FACE_DATA_DIR", "/data", "data_dir", Path("/data")),
    ("FACE_RUN_DIR", "/run/face", "run_dir", Path("/run/face")),
    ("FACE_IMPORT_DIR", "/photos", "import_dir", Path("/photos")),
    ("FACE_MODEL_DIR", "/models", "model_dir", Path("/models")),
    ("FACE_SECRET_KEY", STRONG, "secret_key", STRONG),
    ("FACE_TEMPLATE_KEY", "a-key,an-older-one", "template_key", "a-key,an-older-one"),
    ("FACE_TEMPLATE_KEY_FILE", "/run/secrets/key", "template_key_file", Path("/run/secrets/key")),
    ("FACE_TEMPLATE_KEY_COMMAND", "vault read key", "template_key_command", "vault read key"),
    ("DATABASE_REPLICA_URL", "postgresql://replica/face", "database_replica_url", "postgresql://replica/face"),
    ("DB_POOL_SIZE", "40", "db_pool_size", 40),
    ("DB_MAX_OVERFLOW", "80", "db_max_overflow", 80),
    ("REDIS_CACHE_ENABLED", "true", "redis_cache_enabled", True),
    ("REDIS_MAX_CONNECTIONS", "50", "redis_max_connections", 50),
    ("FACE_BACKUP_KEY", "a-key", "backup_key", "a-key"),
    ("FACE_BACKUP_KEY_FILE", "/run/secrets/backup", "backup_key_file", Path("/run/secrets/backup")),
    ("FACE_SANDBOX_SESSIONS", "1", "sandbox", True),
    ("FACE_DEMO", "0", "demo", False),
    ("FACE_PUBLIC_URL", "https://a.example/face/", "public_url", PublicUrl("https", "a.example", None, "/face")),
    ("FACE_ALLOWED_HOSTS", "a.example, b.example,", "allowed_hosts", ("a.example", "b.example")),
    ("FACE_ALLOWED_ORIGINS", "*", "allowed_origins", ("*",)),
    ("FACE_HSTS_S", "600", "hsts_s", 600),
    ("FACE_MAX_IMAGE_BYTES", "50000", "max_image_bytes", 50_000),
    ("FACE_MAX_IMAGE_PIXELS", "60000", "max_image_pixels", 60_000),
    ("FACE_TARGET_FPS", "5", "target_fps", 5),
    ("FACE_MAX_MESSAGES_PER_SECOND", "20", "max_messages_per_s", 20),
    ("WORKER_CONNECTIONS", "2000", "max_connections", 2_000),
    ("FACE_MAX_CONNECTIONS", "7", "max_connections", 7),
    ("FACE_MAX_HTTP_CONNECTIONS", "50", "max_http_connections", 50),
    ("FACE_REQUEST_TIMEOUT_S", "2.5", "request_timeout_s", 2.5),
    ("FACE_MIN_BODY_BYTES_PER_S", "100", "min_body_bytes_per_s", 100),
    ("FACE_ADMIN_BIND", "127.0.0.1:9100", "admin_bind", "127.0.0.1:9100"),
    ("FACE_TLS_CERTIFICATE", "/etc/ssl/face.pem", "tls_certificate", Path("/etc/ssl/face.pem")),
    ("FACE_PUBLIC_STATUS", "1", "public_status", True),
    ("FACE_IDLE_TIMEOUT_S", "2.5", "idle_timeout_s", 2.5),
    ("FACE_ADMISSION_TIMEOUT_MS", "100", "admission_timeout_ms", 100),
    ("FACE_STUCK_AFTER_MS", "250", "stuck_after_ms", 250),
    ("FACE_SLOW_FRAME_MS", "250", "slow_frame_ms", 250),
    ("FACE_ENROLLMENT_SAMPLES", "5", "enrollment_samples", 5),
    ("FACE_ENROLLMENT_TIME_LIMIT_S", "10", "enrollment_time_limit_s", 10.0),
    ("FACE_RECOGNITION_TIME_LIMIT_S", "5.5", "recognition_time_limit_s", 5.5),
    ("FACE_TOKEN_TTL_S", "60", "token_ttl_s", 60.0),
    ("FACE_NO_MATCH_FRAMES", "4", "no_match_frames", 4),
    ("FACE_ATTEMPTS_LIMIT", "3", "attempts_limit", 3),
    ("FACE_ATTEMPTS_WINDOW_S", "60", "attempts_window_s", 60.0),
    ("FACE_ATTEMPTS_LOCK_S", "90", "attempts_lock_s", 90.0),
    ("FACE_ATTEMPTS_ADDRESS_LIMIT", "30", "attempts_address_limit", 30),
    ("FACE_ATTEMPTS_FIRST_WAIT_S", "0", "attempts_first_wait_s", 0.0),
    ("FACE_IDENTIFICATION_FAILURES_PER_MIN", "600", "identification_failures_per_min", 600),
    ("FACE_RETAIN_SESSIONS_DAYS", "10", "retain_sessions_days", 10),
    ("FACE_RETAIN_METADATA_DAYS", "1", "retain_metadata_days", 1),
    ("FACE_RETAIN_KNOWN_DEVICES_DAYS", "20", "retain_known_devices_days", 20),
    ("FACE_RETAIN_JOBS_DAYS", "5", "retain_jobs_days", 5),
    ("FACE_RETAIN_AUDIT_DAYS", "400", "retain_audit_days", 400),
    ("FACE_RETAIN_FEEDBACK_DAYS", "200", "retain_feedback_days", 200),
    ("FACE_RETAIN_SUMMARIES_DAYS", "30", "retain_summaries_days", 30),
    ("FACE_RETAIN_PROBES_HOURS", "0", "retain_probes_hours", 0),
    ("FACE_RETAIN_DELIVERIES_DAYS", "7", "retain_deliveries_days", 7),
    ("FACE_WEBHOOK_ALLOW", "10.0.0.0/8, ::1,a.internal", "webhook_allow", ("10.0.0.0/8", "::1", "a.internal")),
    ("FACE_WEBHOOK_RETRY_S", "1, 2.5,600", "webhook_retry_s", (1.0, 2.5, 600.0)),
    ("FACE_WEBHOOK_TIMEOUT_S", "5", "webhook_timeout_s", 5.0),
    ("FACE_WEBHOOK_DISABLE_AFTER_DAYS", "2", "webhook_disable_after_days", 2),
    ("FACE_REPLAY_MEMORY_DAYS", "7", "replay_memory_days", 7),
    ("FACE_TARGET_FMR", "1e-5", "target_fmr", 1e-5),
    ("FACE_TARGET_FPIR", "0.01", "target_fpir", 0.01),
    ("FACE_GALLERY_STORE", "usearch", "gallery_store", "usearch"),
    ("FACE_DUPLICATE_CHECK", "false", "duplicate_check", False),
    ("FACE_ACCESS_TOKEN_TTL_S", "60", "access_token_ttl_s", 60),
    ("FACE_DECISION_TOKEN_TTL_S", "30", "decision_token_ttl_s", 30),
]


@pytest.mark.parametrize(("variable", "value", "name", "expected"), EVERY_VARIABLE, ids=lambda value: str(value)[:30])
def test_a_variable_sets_its_setting(variable: str, value: str, name: str, expected: object) -> None:
    needed = {"FACE_SECRET_KEY": STRONG, "DATABASE_URL": "postgresql://db/face", "REDIS_URL": "redis://queues/0"}
    assert getattr(load({**needed, variable: value}), name) == expected


def test_every_variable_is_tested() -> None:
    assert {variable for variable, *_ in EVERY_VARIABLE} == {field.alias for field in Settings.model_fields.values()}


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load({})
    assert settings.development
    assert settings.bind == "0.0.0.0:8003"
    assert (settings.timeout_s, settings.log_level, settings.mesh_pool_size) == (120, "info", 8)
    assert 1 <= settings.workers <= 2
    assert (settings.keepalive_s, settings.backlog, settings.max_requests, settings.preload) == (65, 2048, 0, False)
    assert settings.max_connections == 10_000
    assert settings.data_dir == REPOSITORY / "var"
    assert settings.run_dir == REPOSITORY / "var" / "run"
    assert settings.import_dir == REPOSITORY / "var" / "import"
    assert settings.model_dir == REPOSITORY / "var" / "models"
    assert settings.max_image_bytes == 10 * 2**20
    assert settings.max_image_pixels == 25_000_000
    assert (settings.enrollment_time_limit_s, settings.recognition_time_limit_s) == (60, 30)
    assert settings.no_match_frames == 8


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APP_ENV", "test"),
        ("GUNICORN_WORKERS", "0"),
        ("GUNICORN_WORKERS", "many"),
        ("GUNICORN_WORKERS", "257"),
        ("API_WORKERS", "0"),
        ("WORKER_PROFILE", "fast"),
        ("GUNICORN_KEEPALIVE", "0"),
        ("GUNICORN_BACKLOG", "65536"),
        ("GUNICORN_MAX_REQUESTS", "-1"),
        ("PRELOAD_APP", "maybe"),
        ("WORKER_CONNECTIONS", "0"),
        ("GUNICORN_TIMEOUT", "-1"),
        ("GUNICORN_LOG_LEVEL", "loud"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_FILE_MAX_SIZE_MB", "0"),
        ("FACE_MESH_POOL_SIZE", "0"),
        ("FACE_MESH_POOL_SIZE", "129"),
        ("FACE_MESH_POOL_SIZE", "2.5"),
        ("FACE_MESH_BACKEND", "none"),
        ("FACE_SANDBOX_SESSIONS", "maybe"),
        ("FACE_WEBHOOK_TIMEOUT_S", "600"),
        ("FACE_GALLERY_STORE", "memory"),
        ("FACE_DUPLICATE_CHECK", "2"),
        ("FACE_TARGET_FMR", "0"),
        ("FACE_TARGET_FMR", "1"),
        ("FACE_TARGET_FPIR", "nan"),
        ("FACE_HSTS_S", "-1"),
        ("FACE_IDLE_TIMEOUT_S", "0"),
        ("FACE_ATTEMPTS_LIMIT", "0"),
        ("FACE_ATTEMPTS_WINDOW_S", "inf"),
        ("FACE_ATTEMPTS_LOCK_S", "inf"),
        ("FACE_ATTEMPTS_ADDRESS_LIMIT", "0"),
        ("FACE_ATTEMPTS_FIRST_WAIT_S", "-1"),
        ("FACE_IDENTIFICATION_FAILURES_PER_MIN", "0"),
        ("FACE_RETAIN_SESSIONS_DAYS", "0"),
        ("FACE_RETAIN_METADATA_DAYS", "forever"),
        ("FACE_RETAIN_KNOWN_DEVICES_DAYS", "0"),
        ("FACE_REPLAY_MEMORY_DAYS", "0"),
        ("FACE_RETAIN_AUDIT_DAYS", "0"),
        ("FACE_RETAIN_SUMMARIES_DAYS", "0"),
        ("FACE_RETAIN_FEEDBACK_DAYS", "0"),
        ("FACE_RETAIN_PROBES_HOURS", "-1"),
        ("FACE_MAX_IMAGE_BYTES", "10MB"),
    ],
)
def test_a_wrong_value_is_refused_naming_the_variable_the_value_and_what_it_should_be(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"{variable}='{value}': Input should be ")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FACE_WEBHOOK_ALLOW", "10.0.0.0/99"),
        ("FACE_WEBHOOK_ALLOW", "10.0.0.1/8"),
        ("FACE_WEBHOOK_ALLOW", "https://a.internal"),
        ("FACE_WEBHOOK_RETRY_S", "soon"),
        ("FACE_WEBHOOK_RETRY_S", "5,0"),
        ("FACE_WEBHOOK_RETRY_S", "nan"),
        ("FACE_WEBHOOK_RETRY_S", ",".join(["1"] * 21)),
    ],
)
def test_a_wrong_list_is_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load({variable: value})


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({"LOG_LEVEL": "error"}, "error"),
        ({"LOG_LEVEL": "error", "GUNICORN_LOG_LEVEL": "debug"}, "debug"),
    ],
)
def test_the_level_of_the_web_service_is_the_common_one_unless_it_has_its_own(
    variables: dict[str, str], level: str
) -> None:
    assert load(variables).log_level == level


def test_a_cache_without_redis_is_refused() -> None:
    with pytest.raises(SettingsError, match="REDIS_CACHE_ENABLED needs REDIS_URL"):
        load({"REDIS_CACHE_ENABLED": "true"})


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"GUNICORN_WORKERS": "x", "FACE_TARGET_FPS": "y"})
    assert sorted(line.partition("=")[0] for line in str(caught.value).splitlines()) == [
        "FACE_TARGET_FPS",
        "GUNICORN_WORKERS",
    ]


def test_an_unknown_face_variable_is_refused_with_a_pointer_to_the_list() -> None:
    with pytest.raises(SettingsError, match=r"FACE_POOL_SIZE, FACE_TYPO.*docs/configuration\.md"):
        load({"FACE_TYPO": "1", "FACE_POOL_SIZE": "", "FACE_MESH_POOL_SIZE": "2"})
    assert (REPOSITORY / "docs" / "configuration.md").is_file()


def test_variables_of_other_programs_are_ignored() -> None:
    assert load({"HOME": "/root", "GUNICORN_CMD_ARGS": "", "DJANGO_SETTINGS_MODULE": "x"}) == load({})


def test_an_empty_variable_counts_as_unset() -> None:
    assert load({variable: "" for variable, *_ in EVERY_VARIABLE}) == load({})


@pytest.mark.parametrize("flag", ["1", "true", "yes", "on", "TRUE"])
def test_true_may_be_written_in_several_ways(flag: str) -> None:
    assert load({"FACE_SANDBOX_SESSIONS": flag}).sandbox is True


@pytest.mark.parametrize("flag", ["0", "false", "no", "off", "False"])
def test_false_may_be_written_in_several_ways(flag: str) -> None:
    assert load({"FACE_SANDBOX_SESSIONS": flag}).sandbox is False


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ("development", "", True),
        ("development", "0", False),
        ("staging", "", False),
        ("production", "", False),
        ("production", "1", True),
    ],
)
def test_sandbox_and_demo_are_on_in_development_only_unless_asked_for(
    environment: str, given: str, expected: bool
) -> None:
    variables = {"APP_ENV": environment, "FACE_SECRET_KEY": STRONG}
    settings = load({**variables, "FACE_SANDBOX_SESSIONS": given, "FACE_DEMO": given})
    assert (settings.sandbox_enabled, settings.demo_enabled) == (expected, expected)


@pytest.mark.parametrize("secret", ["", "short", "a" * 64, "abc" * 20])
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_outside_of_development_a_weak_or_missing_secret_stops_the_start(environment: str, secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"APP_ENV": environment, "FACE_SECRET_KEY": secret})
    sentence = str(caught.value)
    assert sentence.startswith("FACE_SECRET_KEY must be at least 32 random characters")
    assert "python3 -c" in sentence
    assert not secret or secret not in sentence, "a secret is not for the log"


def test_a_weak_secret_is_refused_in_development_too() -> None:
    with pytest.raises(SettingsError, match="FACE_SECRET_KEY"):
        load({"FACE_SECRET_KEY": "short"})
    assert load({"FACE_SECRET_KEY": STRONG}).secret_key == STRONG


def test_another_variables_problem_does_not_reveal_the_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"APP_ENV": "production", "FACE_SECRET_KEY": STRONG, "GUNICORN_WORKERS": "x"})
    assert STRONG not in str(caught.value)


def test_the_command_that_the_message_proposes_makes_a_good_secret() -> None:
    import secrets

    assert load({"APP_ENV": "production", "FACE_SECRET_KEY": secrets.token_urlsafe(48)})


@pytest.mark.parametrize(
    ("affinity", "quota", "workers", "pool_size", "threads"),
    [
        (2, None, 2, 8, 1),
        (2, None, 1, 8, 2),
        (2, None, 4, 8, 1),
        (64, 2.0, 4, 8, 1),
        (64, None, 4, 8, 8),
        (64, None, 4, 32, 8),
        (16, None, 4, 32, 4),
        (2, 0.5, 1, 8, 1),
        (2, None, 1, 1, 1),
    ],
)
def test_a_worker_computes_on_its_share_of_the_cores_that_it_may_use(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, workers: int, pool_size: int, threads: int
) -> None:
    machine = Machine(affinity, quota, memory_bytes=1 << 30, memory_is_limited=False, installed_bytes=1 << 30)
    monkeypatch.setattr("config.groups.server.this_machine", lambda: machine)
    settings = load({"GUNICORN_WORKERS": f"{workers}", "FACE_MESH_POOL_SIZE": f"{pool_size}"})
    assert settings.compute_threads == threads


def test_as_many_compute_threads_as_instances_are_allowed() -> None:
    assert load({"FACE_MESH_POOL_SIZE": "8", "FACE_COMPUTE_THREADS": "8"}).compute_threads == 8
    with pytest.raises(SettingsError, match="FACE_COMPUTE_THREADS=3 needs as many instances"):
        load({"FACE_MESH_POOL_SIZE": "2", "FACE_COMPUTE_THREADS": "3"})


@pytest.mark.parametrize(("megabytes", "limit"), [("512", 512 << 20), ("0", None)])
def test_a_memory_limit_of_0_is_no_limit(megabytes: str, limit: int | None) -> None:
    assert load({"FACE_WORKER_MAX_MEMORY_MB": megabytes}).worker_max_memory_bytes == limit


def test_run_files_follow_the_data_directory_unless_they_have_one_of_their_own() -> None:
    assert load({"FACE_DATA_DIR": "/data"}).run_dir == Path("/data/run")
    assert load({"FACE_DATA_DIR": "/data", "FACE_RUN_DIR": "run"}).run_dir == REPOSITORY / "run"
    assert load({"FACE_DATA_DIR": "/data"}).import_dir == Path("/data/import")


@pytest.mark.parametrize(
    "address", ["9100", "localhost", "localhost:", "localhost:0", "localhost:99999", "0.0.0.0:8003"]
)
def test_the_admin_address_has_a_port_and_not_the_public_one(address: str) -> None:
    with pytest.raises(SettingsError, match="FACE_ADMIN_BIND must be HOST:PORT"):
        load({"FACE_ADMIN_BIND": address})


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1:9100", 9100), ("[::1]:9100", 9100), ("", None)])
def test_the_admin_port_is_read_from_the_address(address: str, port: int | None) -> None:
    assert load({"FACE_ADMIN_BIND": address}).admin_port == port


def test_templates_are_searched_in_postgresql_only_where_it_is_the_database() -> None:
    database = {"DATABASE_URL": "postgresql://face@db/face"}
    assert load(database | {"FACE_GALLERY_STORE": "pgvector"}).gallery_store == "pgvector"
    for variables in ({}, {"DATABASE_URL": "sqlite:///face.sqlite3"}):
        with pytest.raises(SettingsError, match="SQLite has no replica"):
            load(variables | {"DATABASE_REPLICA_URL": "postgresql://replica/face"})
        with pytest.raises(SettingsError, match="FACE_GALLERY_STORE=pgvector needs PostgreSQL: set DATABASE_URL"):
            load(variables | {"FACE_GALLERY_STORE": "pgvector"})
