"""Where the value of a setting came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gunicorn.config import Config

from config.settings import Settings

GUNICORN_NAMES = {
    "GUNICORN_WORKERS": "workers",
    "GUNICORN_BIND": "bind",
    "GUNICORN_TIMEOUT": "timeout",
    "GUNICORN_KEEPALIVE": "keepalive",
    "GUNICORN_BACKLOG": "backlog",
    "GUNICORN_MAX_REQUESTS": "max_requests",
    "GUNICORN_MAX_REQUESTS_JITTER": "max_requests_jitter",
    "GUNICORN_LOG_LEVEL": "loglevel",
    "PRELOAD_APP": "preload_app",
}
"""By variable, the setting of Gunicorn that gets its value, and that GUNICORN_CMD_ARGS can set over it."""
STAND_INS = {
    "GUNICORN_WORKERS": "API_WORKERS",
    "FACE_MAX_CONNECTIONS": "WORKER_CONNECTIONS",
    "FACE_RUN_DIR": "FACE_DATA_DIR",
    "FACE_IMPORT_DIR": "FACE_DATA_DIR",
}
"""By variable, the one that its value follows from where it is unset itself."""


def command_arguments() -> dict[str, Any]:
    """What GUNICORN_CMD_ARGS sets, by Gunicorn's names."""
    configuration = Config()
    given = configuration.parser().parse_args(configuration.get_cmd_args_from_env())
    return {name: value for name, value in vars(given).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Source:
    """`flags`: by variable, the flag that has set it. `environ`: the environment, with what flags have put there."""

    settings: Settings
    environ: Mapping[str, str]
    flags: Mapping[str, str]
    arguments: Mapping[str, Any] = field(default_factory=command_arguments)

    def value_and_origin(self, name: str, variable: str) -> tuple[Any, str]:
        over = self.arguments.get(GUNICORN_NAMES.get(variable, ""))
        if over is not None:
            return over, "GUNICORN_CMD_ARGS"
        return getattr(self.settings, name), self.origin(variable)

    def origin(self, variable: str) -> str:
        stand_in = STAND_INS.get(variable, "")
        if variable in self.flags:
            return f"flag {self.flags[variable]}"
        if self.environ.get(variable):
            return "environment"
        if self.environ.get(stand_in):
            return f"environment {stand_in}"
        if variable == "GUNICORN_WORKERS":
            return self._origin_of_workers()
        return "default"

    def _origin_of_workers(self) -> str:
        profile = self.settings.worker_profile
        return "measured machine" if profile == "measured" else f"profile {profile}"
