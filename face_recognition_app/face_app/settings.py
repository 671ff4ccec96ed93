"""Django's settings, derived from the service's own."""

from __future__ import annotations

import os
from importlib.metadata import distribution
from typing import Any

import dj_database_url
from django.conf import global_settings

from config import secret, settings
from config.processes import number
from logs.destinations import set_up_logs, this_process

# No other user may read the files with faces and keys; every process that writes them imports this module first.
os.umask(0o077)

FACE = number.with_actual_workers(settings.load())

SECRET_KEY = secret.secret_key(FACE)
DEBUG = False
ALLOWED_HOSTS = list(FACE.hosts)
ROOT_URLCONF = "face_app.urls"
ASGI_APPLICATION = "face_app.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Daphne and Ninja are no entries: both would be loaded by every command. `runserver` and the API import them.
INSTALLED_APPS = [
    "recognition",
    "recognition.outcomes",
    "django.contrib.staticfiles",
    "audit",
    "tenants",
    "jobs",
    "webhooks",
    "gallery",
    "backup",
    "config",
    "demo",
]

MIDDLEWARE = [
    "web.request_metrics.RouteNote",
    "web.security_headers.SecurityHeaders",
    "servestatic.middleware.ServeStaticMiddleware",
    "recognition.api.errors.UniformErrors",
    "web.common.CommonOnTheLoop",
]

# Checks of `manage.py check --deploy` that this service meets in another way.
SILENCED_SYSTEM_CHECKS = [
    "security.W001",  # SecurityMiddleware: web.security_headers sends its headers, web.strict_transport HSTS
    "security.W002",  # XFrameOptionsMiddleware: web.security_headers sends the header
    "security.W003",  # CsrfViewMiddleware: no cookie and nothing else that a browser sends by itself opens anything
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

STATIC_URL = "/static/"
# Scripts of the API's documentation, found without an import of Ninja.
STATICFILES_DIRS = [str(distribution("django-ninja").locate_file("ninja/static"))]
STORAGES = {**global_settings.STORAGES, "staticfiles": {"BACKEND": "web.static_files.HashedFiles"}}
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True
# Each file is also served from its app, by its own name: for links of others, and where none could be hashed.
SERVESTATIC_USE_FINDERS = True

# Give up a database that does not answer within seconds, so that callers get an error and threads are freed.
# DATABASE_URL can override each: ?connect_timeout=10.
POSTGRESQL_TIMEOUTS = {
    "connect_timeout": 2,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def _database(url: str) -> dict[str, Any]:
    found: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True)}
    if found["ENGINE"] == "django.db.backends.postgresql":
        found["ENGINE"] = "database.postgresql"
        found["OPTIONS"] = {**POSTGRESQL_TIMEOUTS, **found.get("OPTIONS", {})}
    return found


def redis_cache(url: str, connections: int) -> dict[str, Any]:
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "face:cache",
        "OPTIONS": {
            "pool_class": "database.redis_access.BoundedPool",
            "serializer": "database.redis_access.Text",
            "max_connections": connections,
            "patience_s": 0.2,
        },
    }


if FACE.database_url:
    DATABASES = {"default": _database(FACE.database_url)}
    if FACE.database_replica_url:
        DATABASES["replica"] = _database(FACE.database_replica_url)
        DATABASE_ROUTERS = ["database.replica.ReplicaRouter"]
else:
    DATABASES = {
        "default": {
            "ENGINE": "database.sqlite",
            "NAME": str(FACE.data_dir / "face.sqlite3"),
            "CONN_MAX_AGE": None,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                "mode": "rw",
                "timeout": 5,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                "PRAGMA secure_delete=ON;",
            },
        }
    }

if FACE.redis_url:
    # No part of the service needs the layer: it is for what is served beside it. redis-py's default socket timeout
    # equals the layer's blocking pop and would drop idle sockets.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [{"address": FACE.redis_url, "socket_timeout": None}]},
        }
    }
if FACE.redis_cache_enabled:
    CACHES = {"default": redis_cache(FACE.redis_url, FACE.redis_max_connections)}

JOB_KINDS = "recognition.background.catalogue.KINDS"

DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * FACE.max_image_bytes
FILE_UPLOAD_MAX_MEMORY_SIZE = FACE.max_image_bytes

# The web service and job workers add their file when they begin; a command, which another user may run, has none.
LOGGING_CONFIG = None
set_up_logs(FACE.model_copy(update={"log_console": True}), this_process("manage", "command"), None)
