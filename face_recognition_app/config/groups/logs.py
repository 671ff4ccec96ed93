"""Settings of the log, the same for the web service and for job workers. Their variables have no prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from config.groups.values import SettingsGroup


def _level(value: object) -> object:
    return "warning" if value == "warn" else value


LogLevel = Literal["debug", "info", "warning", "error", "critical"]
GivenLogLevel = Annotated[LogLevel, BeforeValidator(_level)]


class LogSettings(SettingsGroup):
    given_log_level: GivenLogLevel = Field(
        "info", alias="LOG_LEVEL", description="How much is logged. Libraries log nothing below `info`."
    )
    log_format: Literal["text", "json"] = Field("text", alias="LOG_FORMAT", description="Form of the lines.")
    log_console: bool = Field(True, alias="LOG_CONSOLE_ENABLED", description="Whether to log to standard error.")
    log_file: bool = Field(False, alias="LOG_FILE_ENABLED", description="Whether to log to a file, too.")
    log_file_path: Path | None = Field(
        None,
        alias="LOG_FILE_PATH",
        description="That file, of every process on the machine; unset: `log/NAME.log` in FACE_DATA_DIR.",
    )
    log_file_max_mb: int = Field(
        100, alias="LOG_FILE_MAX_SIZE_MB", ge=1, le=10_000, description="Size at which a new file is begun."
    )
    log_file_backups: int = Field(
        5, alias="LOG_FILE_MAX_BACKUPS", ge=1, le=100, description="Full files that are kept."
    )

    @property
    def log_level(self) -> LogLevel:
        return self.given_log_level
