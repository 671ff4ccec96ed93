"""All settings of the service, read once from the environment. The only list of options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from config.groups.retention import RetentionSettings
from config.groups.server import ServerSettings
from config.groups.sessions import SessionSettings
from config.groups.values import Names
from config.groups.webhooks import WebhookSettings
from config.public_url import PublicUrl

REPOSITORY = Path(__file__).resolve().parents[2]
MIN_SECRET_LENGTH = 32
PINNED_EMBEDDER = "pinned"
"""The word for the shipped embedder, where it is the former one."""
MAX_CONNECTIONS = 10_000
_YEAR_S = 31_536_000


class SettingsError(Exception):
    """The environment has an invalid setting; the message has one problem a line."""


def _from_repository(value: object) -> object:
    """Resolve a relative directory from the repository, wherever the command is run."""
    return REPOSITORY / value if isinstance(value, str | Path) else value


def _public_url(value: object) -> object:
    return PublicUrl.parse(value) if isinstance(value, str) else value


Directory = Annotated[Path, BeforeValidator(_from_repository)]


def _port(address: str) -> int | None:
    """The port of HOST:PORT; None if there is none, as in unix:PATH."""
    host, colon, port = address.rpartition(":")
    return int(port) if host and colon and port.isdecimal() and 0 < int(port) < 65_536 else None


class Settings(WebhookSettings, RetentionSettings, SessionSettings, ServerSettings):
    """Read from the environment with `load()`; each field's alias is its variable. The last base is listed first."""

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
        "", alias="REDIS_URL", description="redis://... for jobs, cache and channel layer; unset: jobs use a table."
    )
    redis_cache_enabled: bool = Field(
        False,
        alias="REDIS_CACHE_ENABLED",
        description="Keep answers that cannot change any more in REDIS_URL; operations/databases.md says which.",
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
    worker_connections: int | None = Field(
        None,
        alias="WORKER_CONNECTIONS",
        ge=1,
        description="Sockets per worker, unless FACE_MAX_CONNECTIONS says otherwise.",
    )
    max_connections: int = Field(
        default_factory=lambda given: given["worker_connections"] or MAX_CONNECTIONS,
        alias="FACE_MAX_CONNECTIONS",
        ge=1,
        description="Sockets per worker; more are refused with 1013.",
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
    tls_certificate: Path | None = Field(
        None,
        alias="FACE_TLS_CERTIFICATE",
        description="The proxy's certificate (PEM), whose expiry is among the metrics. It is not served with.",
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
    slow_frame_ms: int = Field(
        1_000,
        alias="FACE_SLOW_FRAME_MS",
        ge=0,
        description="A frame that takes longer is logged with its stages, at most one each 10 s of a worker. 0: none.",
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
    def _cache_has_its_redis(self) -> Settings:
        if self.redis_cache_enabled and not self.redis_url:
            raise ValueError("REDIS_CACHE_ENABLED needs REDIS_URL=redis://...")
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
