"""All settings of the service, read once from the environment. The only list of options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.public_url import PublicUrl
from config.sizing import compute_threads, this_machine

REPOSITORY = Path(__file__).resolve().parents[2]
MIN_SECRET_LENGTH = 32
PINNED_EMBEDDER = "pinned"
"""The word for the shipped embedder, where it is the former one."""
_YEAR_S = 31_536_000


class SettingsError(Exception):
    """The environment has an invalid setting; the message has one problem a line."""


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _from_repository(value: object) -> object:
    """Resolve a relative directory from the repository, wherever the command is run."""
    return REPOSITORY / value if isinstance(value, str | Path) else value


def _hosts_or_networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not (_is_network(name) or re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name)):
            raise ValueError(f"{name} is neither a host's name nor a network as in 10.0.0.0/8")
    return names


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _waits(seconds: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0.1 <= one <= 604_800 for one in seconds) or len(seconds) > 20:
        raise ValueError("at most 20 numbers of seconds, each from 0.1 to 604800")
    return seconds


def _public_url(value: object) -> object:
    return PublicUrl.parse(value) if isinstance(value, str) else value


Directory = Annotated[Path, BeforeValidator(_from_repository)]
Names = Annotated[tuple[str, ...], BeforeValidator(_comma_separated)]


def _port(address: str) -> int | None:
    """The port of HOST:PORT; None if there is none, as in unix:PATH."""
    host, colon, port = address.rpartition(":")
    return int(port) if host and colon and port.isdecimal() and 0 < int(port) < 65_536 else None


class Settings(BaseModel):
    """Read from the environment with `load()`; each field's alias is its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    app_env: Literal["development", "staging", "production"] = Field(
        "development", alias="APP_ENV", description="Development makes a demo tenant and its own secrets."
    )
    workers: int = Field(
        min(4, os.cpu_count() or 1), alias="GUNICORN_WORKERS", ge=1, le=256, description="Worker processes."
    )
    bind: str = Field("0.0.0.0:8003", alias="GUNICORN_BIND", description="HOST:PORT to serve on.")
    timeout_s: int = Field(
        120,
        alias="GUNICORN_TIMEOUT",
        ge=1,
        description="Seconds without a turn of its event loop after which a worker is replaced.",
    )
    drain_s: float = Field(
        5,
        alias="FACE_DRAIN_S",
        ge=0,
        le=300,
        description="How long sessions may go on in a worker that was replaced, before they are told to connect again.",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", alias="GUNICORN_LOG_LEVEL", description="How much is logged."
    )
    mesh_pool_size: int = Field(
        8, alias="FACE_MESH_POOL_SIZE", ge=1, le=128, description="FaceMesh instances per worker."
    )
    threads: int | None = Field(
        None,
        alias="FACE_COMPUTE_THREADS",
        ge=1,
        le=128,
        description="Frames that a worker computes at once, each with an instance; unset: its share of the cores.",
    )
    mesh_backend: Literal["openvino", "mediapipe"] = Field(
        "openvino",
        alias="FACE_MESH_BACKEND",
        description="openvino follows faces from frame to frame; mediapipe is the slower reference.",
    )
    bystanders: Literal["ignore", "refuse"] = Field(
        "ignore",
        alias="FACE_BYSTANDERS",
        description="What to do with a second face that is plainly not meant: smaller, or farther from the middle.",
    )
    mesh_max_uses: int | None = Field(
        None, alias="FACE_MESH_MAX_USES", ge=1, description="Replace an instance after so many frames; unset: never."
    )
    worker_max_memory_mb: int = Field(
        2_048,
        alias="FACE_WORKER_MAX_MEMORY_MB",
        ge=0,
        description="Private memory; a worker above it is replaced when its sockets have ended. 0: never.",
    )
    database_url: str = Field(
        "", alias="DATABASE_URL", description="postgresql://...; unset: SQLite (WAL) in the data directory."
    )
    database_replica_url: str = Field(
        "",
        alias="DATABASE_REPLICA_URL",
        repr=False,
        description="postgresql://... of a streaming replica, for reads that may be seconds old; unset: there is none.",
    )
    db_pool_size: int = Field(
        4,
        alias="DB_POOL_SIZE",
        ge=1,
        le=128,
        description="Database threads of a worker, each with a connection. More help only where statements wait.",
    )
    db_max_overflow: int = Field(
        6,
        alias="DB_MAX_OVERFLOW",
        ge=0,
        le=128,
        description="Connections to PostgreSQL that a process may have beside those, as for renewals of indexes.",
    )
    redis_max_connections: int = Field(
        10,
        alias="REDIS_MAX_CONNECTIONS",
        ge=2,
        le=1_000,
        description="Connections to Redis of each pool of a process: of queues, and of the cache.",
    )
    redis_url: str = Field(
        "", alias="REDIS_URL", description="redis://... for the channel layer and the cache; unset: neither is needed."
    )
    data_dir: Directory = Field(
        REPOSITORY / "var", alias="FACE_DATA_DIR", description="Database and keys; made if missing."
    )
    run_dir: Directory = Field(
        default_factory=lambda given: given["data_dir"] / "run",
        alias="FACE_RUN_DIR",
        description="Worker statistics, metrics and locks of this one server while it runs; may lie on tmpfs.",
    )
    import_dir: Directory = Field(
        default_factory=lambda given: given["data_dir"] / "import",
        alias="FACE_IMPORT_DIR",
        description="Pictures that jobs bulk_enroll may read: each tenant's in the folder of its name.",
    )
    model_dir: Directory = Field(
        REPOSITORY / "var" / "models", alias="FACE_MODEL_DIR", description="Verified models; fetched if missing."
    )
    model_mirror: Path | None = Field(
        None,
        alias="FACE_MODEL_MIRROR",
        description="Directory with copies of the model files, tried before the network; unset: there is none.",
    )
    embedder: Path | None = Field(
        None,
        alias="FACE_EMBEDDER",
        description="An ArcFace-style ONNX file in place of the pinned embedder, with its profile beside it.",
    )
    former_embedder: str | None = Field(
        None,
        alias="FACE_FORMER_EMBEDDER",
        description="What FACE_EMBEDDER was before: the file, or pinned for the shipped one. Its galleries are served "
        "with it until manage.py reembed has moved them.",
    )
    secret_key: str = Field(
        "",
        alias="FACE_SECRET_KEY",
        repr=False,
        description=f"At least {MIN_SECRET_LENGTH} random characters. Development makes its own; else it is required.",
    )
    template_key: str = Field(
        "",
        alias="FACE_TEMPLATE_KEY",
        repr=False,
        description="Master key of the templates: 32 random bytes in base64; several with commas, newest first. "
        "Unset, and without the next two: derived from FACE_SECRET_KEY.",
    )
    template_key_file: Path | None = Field(
        None,
        alias="FACE_TEMPLATE_KEY_FILE",
        description="File with such keys in its place, one a line, which others may not read.",
    )
    template_key_command: str = Field(
        "",
        alias="FACE_TEMPLATE_KEY_COMMAND",
        description="Command, run without a shell, that prints such keys in their place, within 10 s.",
    )
    backup_key: str = Field(
        "",
        alias="FACE_BACKUP_KEY",
        repr=False,
        description="Key of manage.py backup and restore: 32 random bytes in base64, to be kept apart from backups.",
    )
    backup_key_file: Path | None = Field(
        None, alias="FACE_BACKUP_KEY_FILE", description="File with that key in its place, which others may not read."
    )
    sandbox: bool | None = Field(
        None, alias="FACE_SANDBOX_SESSIONS", description="Accept test_... tokens; default: only in development."
    )
    demo: bool | None = Field(
        None, alias="FACE_DEMO", description="The page's own sessions for tenant demo; default: only in development."
    )
    public_url: Annotated[PublicUrl | None, BeforeValidator(_public_url)] = Field(
        None,
        alias="FACE_PUBLIC_URL",
        description="Address by which browsers reach the service, as in https://face.example/face; "
        "unset: the host of each request.",
    )
    allowed_hosts: Names = Field(
        (),
        alias="FACE_ALLOWED_HOSTS",
        description="Host names served besides that of FACE_PUBLIC_URL, with commas; "
        "default: any in development, else local.",
    )
    allowed_origins: Names = Field(
        (),
        alias="FACE_ALLOWED_ORIGINS",
        description="Origins besides our own whose pages may open the socket; * is any.",
    )
    hsts_s: int | None = Field(
        None,
        alias="FACE_HSTS_S",
        ge=0,
        description="Max-age of Strict-Transport-Security in seconds; default: a year, in development 0.",
    )
    max_image_bytes: int = Field(
        10 * 1024 * 1024, alias="FACE_MAX_IMAGE_BYTES", ge=10_000, description="Bytes of one encoded image."
    )
    max_image_pixels: int = Field(
        25_000_000, alias="FACE_MAX_IMAGE_PIXELS", ge=10_000, description="Width times height of one image."
    )
    target_fps: int = Field(10, alias="FACE_TARGET_FPS", ge=1, le=60, description="Frames a second asked of a client.")
    max_messages_per_s: int = Field(
        60, alias="FACE_MAX_MESSAGES_PER_SECOND", ge=5, description="Above it for 5 s the socket closes with 4429."
    )
    max_connections: int = Field(
        10_000, alias="FACE_MAX_CONNECTIONS", ge=1, description="Sockets per worker; more are refused with 1013."
    )
    max_http_connections: int = Field(
        2_000,
        alias="FACE_MAX_HTTP_CONNECTIONS",
        ge=10,
        description="Connections per worker that are no sockets; when all are taken, idle ones are closed.",
    )
    request_timeout_s: float = Field(
        10.0,
        alias="FACE_REQUEST_TIMEOUT_S",
        gt=0,
        le=600,
        description="Seconds in which a request's head must be complete.",
    )
    min_body_bytes_per_s: int = Field(
        1_024,
        alias="FACE_MIN_BODY_BYTES_PER_S",
        ge=0,
        description="A body that brings less, on average of FACE_REQUEST_TIMEOUT_S, ends with 408.",
    )
    admin_bind: str | None = Field(
        None,
        alias="FACE_ADMIN_BIND",
        description="HOST:PORT that alone answers /metrics, /api/pool/status/ and /api/docs; unset: the public one.",
    )
    public_status: bool = Field(
        False,
        alias="FACE_PUBLIC_STATUS",
        description="In production, answer those on the public port without a key.",
    )
    idle_timeout_s: float = Field(
        90.0, alias="FACE_IDLE_TIMEOUT_S", gt=0, description="Seconds of silence after which a socket closes with 4408."
    )
    admission_timeout_ms: int = Field(
        3_000,
        alias="FACE_ADMISSION_TIMEOUT_MS",
        ge=1,
        description="Work that has not begun by then is refused as busy.",
    )
    stuck_after_ms: int = Field(
        5_000,
        alias="FACE_STUCK_AFTER_MS",
        ge=1,
        description="Older work counts as stuck; a worker is replaced when all its compute threads are stuck.",
    )
    enrollment_samples: int = Field(
        3, alias="FACE_ENROLLMENT_SAMPLES", ge=1, le=10, description="Good samples of an enrolment by default."
    )
    enrollment_time_limit_s: float = Field(
        60.0, alias="FACE_ENROLLMENT_TIME_LIMIT_S", gt=0, description="Enrolment, from the first connection."
    )
    recognition_time_limit_s: float = Field(
        30.0, alias="FACE_RECOGNITION_TIME_LIMIT_S", gt=0, description="Other sessions, likewise."
    )
    token_ttl_s: float = Field(
        600.0, alias="FACE_TOKEN_TTL_S", gt=0, description="Time in which a session must get its first connection."
    )
    no_match_frames: int = Field(
        8, alias="FACE_NO_MATCH_FRAMES", ge=1, le=100, description="Good frames without a match until no_match."
    )
    attempts_limit: int = Field(
        5, alias="FACE_ATTEMPTS_LIMIT", ge=1, le=1_000, description="Failures of one subject or device that lock it."
    )
    attempts_address_limit: int | None = Field(
        None,
        alias="FACE_ATTEMPTS_ADDRESS_LIMIT",
        ge=1,
        le=10_000,
        description="Failures from one client address that lock it; unset: four times FACE_ATTEMPTS_LIMIT.",
    )
    attempts_window_s: float = Field(
        180.0, alias="FACE_ATTEMPTS_WINDOW_S", gt=0, le=86_400, description="Window in which failures count together."
    )
    attempts_lock_s: float = Field(
        1_800.0,
        alias="FACE_ATTEMPTS_LOCK_S",
        gt=0,
        le=2_592_000,
        description="How long the lock of a device or address lasts.",
    )
    attempts_first_wait_s: float = Field(
        2.0,
        alias="FACE_ATTEMPTS_FIRST_WAIT_S",
        ge=0,
        le=60,
        description="Wait before the next session once half of a limit is used up; doubles to 60 s. 0: none.",
    )
    identification_failures_per_min: int = Field(
        60,
        alias="FACE_IDENTIFICATION_FAILURES_PER_MIN",
        ge=1,
        le=10_000,
        description="Failed identifications of one tenant, those on known devices not counted; more are refused.",
    )
    retain_sessions_days: int = Field(
        90, alias="FACE_RETAIN_SESSIONS_DAYS", ge=1, le=3_650, description="Sessions that ended, and their decisions."
    )
    retain_metadata_days: int = Field(
        30,
        alias="FACE_RETAIN_METADATA_DAYS",
        ge=1,
        le=3_650,
        description="Metadata that a backend stored with such a session.",
    )
    retain_known_devices_days: int = Field(
        180,
        alias="FACE_RETAIN_KNOWN_DEVICES_DAYS",
        ge=1,
        le=3_650,
        description="Devices that a subject succeeded on, from the last time.",
    )
    retain_feedback_days: int = Field(
        365,
        alias="FACE_RETAIN_FEEDBACK_DAYS",
        ge=1,
        le=3_650,
        description="Embeddings of pictures of which it was said that they do not show a subject.",
    )
    retain_probes_hours: int = Field(
        24,
        alias="FACE_RETAIN_PROBES_HOURS",
        ge=0,
        le=720,
        description="The embedding by which a session matched, for feedback by its id. 0 keeps none.",
    )
    retain_jobs_days: int = Field(
        30,
        alias="FACE_RETAIN_JOBS_DAYS",
        ge=1,
        le=3_650,
        description="Background jobs that have ended, with their results and dead letters.",
    )
    retain_audit_days: int = Field(
        730,
        alias="FACE_RETAIN_AUDIT_DAYS",
        ge=1,
        le=3_650,
        description="Entries of the audit trail.",
    )
    retain_summaries_days: int = Field(
        400,
        alias="FACE_RETAIN_SUMMARIES_DAYS",
        ge=1,
        le=3_650,
        description="Nightly numbers of what sessions came to, which tell of nobody.",
    )
    retain_deliveries_days: int = Field(
        30,
        alias="FACE_RETAIN_DELIVERIES_DAYS",
        ge=1,
        le=3_650,
        description="What was sent to webhooks, or was to be.",
    )
    replay_memory_days: int = Field(
        30,
        alias="FACE_REPLAY_MEMORY_DAYS",
        ge=1,
        le=3_650,
        description="How long frames are remembered, to detect replays.",
    )
    webhook_allow: Annotated[Names, AfterValidator(_hosts_or_networks)] = Field(
        (),
        alias="FACE_WEBHOOK_ALLOW",
        description="Hosts and networks that webhooks may be sent to although they are not public, with commas.",
    )
    webhook_retry_s: Annotated[tuple[float, ...], BeforeValidator(_comma_separated), AfterValidator(_waits)] = Field(
        (5, 300, 1_800, 7_200, 18_000, 36_000),
        alias="FACE_WEBHOOK_RETRY_S",
        description="Seconds before each further try of a delivery; after the last one it is given up.",
    )
    webhook_timeout_s: float = Field(
        15.0, alias="FACE_WEBHOOK_TIMEOUT_S", ge=1, le=20, description="Time in which a receiver must have answered."
    )
    webhook_disable_after_days: int = Field(
        5,
        alias="FACE_WEBHOOK_DISABLE_AFTER_DAYS",
        ge=1,
        le=365,
        description="A webhook to which nothing was delivered for so long, while it was tried, is disabled.",
    )
    target_fmr: float = Field(
        1e-4, alias="FACE_TARGET_FMR", gt=0, lt=1, description="False matches per impostor attempt, 1:1."
    )
    target_fpir: float = Field(
        1e-3, alias="FACE_TARGET_FPIR", gt=0, lt=1, description="False identifications per search of a stranger, 1:N."
    )
    gallery_store: Literal["exact", "usearch", "pgvector"] = Field(
        "exact",
        alias="FACE_GALLERY_STORE",
        description="exact compares with every template; usearch, in galleries from 20,000 on, only with those whose "
        "signs are similar; pgvector searches in PostgreSQL, for several machines.",
    )
    duplicate_check: bool = Field(
        True, alias="FACE_DUPLICATE_CHECK", description="Refuse to enrol one face under two subjects."
    )
    access_token_ttl_s: int = Field(900, alias="FACE_ACCESS_TOKEN_TTL_S", ge=1, description="Life of an access token.")
    decision_token_ttl_s: int = Field(
        300, alias="FACE_DECISION_TOKEN_TTL_S", ge=1, description="Life of a decision token."
    )

    @property
    def development(self) -> bool:
        return self.app_env == "development"

    @property
    def db_connections(self) -> int:
        """Connections to PostgreSQL that a process may have."""
        return self.db_pool_size + self.db_max_overflow

    @property
    def has_template_key(self) -> bool:
        """Whether templates have a master key of their own."""
        return bool(self.template_key or self.template_key_file or self.template_key_command)

    @property
    def sandbox_enabled(self) -> bool:
        return self.development if self.sandbox is None else self.sandbox

    @property
    def demo_enabled(self) -> bool:
        return self.development if self.demo is None else self.demo

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names served; "*" is any."""
        default = ("*",) if self.development else ("localhost", "127.0.0.1", "[::1]")
        public = () if self.public_url is None else (self.public_url.host,)
        return (*(self.allowed_hosts or default), *public)

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins, besides the request's own host, whose pages may open the socket; "*" is any."""
        public = () if self.public_url is None else (self.public_url.origin,)
        return (*self.allowed_origins, *public)

    @property
    def admin_port(self) -> int | None:
        """The port of `admin_bind`, by which its requests are told from public ones."""
        return None if self.admin_bind is None else _port(self.admin_bind)

    @property
    def hsts_max_age_s(self) -> int:
        """Max-age of Strict-Transport-Security. 0 in development: browsers would apply it to all of localhost."""
        default = 0 if self.development else _YEAR_S
        return default if self.hsts_s is None else self.hsts_s

    @property
    def worker_max_memory_bytes(self) -> int | None:
        return self.worker_max_memory_mb << 20 or None

    @property
    def stuck_after_s(self) -> float:
        return self.stuck_after_ms / 1000

    @property
    def compute_threads(self) -> int:
        """Frames that a worker computes at once: its share of the cores by default. With more threads each frame takes
        longer, and fewer are answered: docs/performance.md has the figures."""
        return self.threads or compute_threads(this_machine().cores, self.workers, self.mesh_pool_size)

    @model_validator(mode="after")
    def _each_thread_has_an_instance(self) -> Settings:
        if self.threads is not None and self.threads > self.mesh_pool_size:
            raise ValueError(
                f"FACE_COMPUTE_THREADS={self.threads} needs as many instances; FACE_MESH_POOL_SIZE is "
                f"{self.mesh_pool_size}"
            )
        return self

    @model_validator(mode="after")
    def _admin_bind_has_a_port_of_its_own(self) -> Settings:
        if self.admin_bind is not None and self.admin_port in (None, _port(self.bind)):
            raise ValueError("FACE_ADMIN_BIND must be HOST:PORT, with another port than GUNICORN_BIND")
        return self

    @model_validator(mode="after")
    def _template_keys_come_from_one_place(self) -> Settings:
        given = (self.template_key, self.template_key_file, self.template_key_command)
        if sum(map(bool, given)) > 1:
            raise ValueError("set one of FACE_TEMPLATE_KEY, FACE_TEMPLATE_KEY_FILE and FACE_TEMPLATE_KEY_COMMAND")
        return self

    @model_validator(mode="after")
    def _backup_key_comes_from_one_place(self) -> Settings:
        if self.backup_key and self.backup_key_file is not None:
            raise ValueError("set one of FACE_BACKUP_KEY and FACE_BACKUP_KEY_FILE")
        return self

    @model_validator(mode="after")
    def _store_has_its_database(self) -> Settings:
        if self.gallery_store == "pgvector" and not self.database_url.startswith("postgres"):
            raise ValueError(
                "FACE_GALLERY_STORE=pgvector needs PostgreSQL: set DATABASE_URL to postgresql://..., or choose another "
                "store"
            )
        return self

    @model_validator(mode="after")
    def _replica_has_its_database(self) -> Settings:
        if self.database_replica_url and not (
            self.database_url.startswith("postgres") and self.database_replica_url.startswith("postgres")
        ):
            raise ValueError(
                "DATABASE_REPLICA_URL needs DATABASE_URL=postgresql://..., as itself: SQLite has no replica"
            )
        return self

    @model_validator(mode="after")
    def _secret_is_strong(self) -> Settings:
        weak = len(self.secret_key) < MIN_SECRET_LENGTH or len(set(self.secret_key)) < 8
        if weak and (self.secret_key or not self.development):
            raise ValueError(
                f"FACE_SECRET_KEY must be at least {MIN_SECRET_LENGTH} random characters, "
                "for example from: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        return self


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of `environ`; an empty variable counts as unset. Raises SettingsError."""
    known = {field.alias for field in Settings.model_fields.values()}
    unknown = sorted(name for name in environ if name.startswith("FACE_") and name not in known)
    if unknown:
        raise SettingsError(f"unknown variable {', '.join(unknown)}: see docs/configuration.md for what there is")
    given = {name: environ[name] for name in known if name is not None and environ.get(name)}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        # A default derived from an invalid setting is not a problem of its own.
        problems = [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]
        raise SettingsError("\n".join(sentence(problem) for problem in problems)) from error


def sentence(problem: object) -> str:
    assert isinstance(problem, dict)
    variable = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{variable}={problem['input']!r}: {message}" if variable else message
