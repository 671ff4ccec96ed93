"""Where the service's processes leave what others must find."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings, load
from supervision.daemons import Daemon
from supervision.processes import environment_of

_DIRECTORIES = ("FACE_DATA_DIR", "FACE_RUN_DIR")


@dataclass(frozen=True, slots=True)
class Places:
    service: Daemon
    """The web service: Gunicorn, or one process of Uvicorn."""
    background: Daemon
    """A job worker by itself."""
    control_socket: Path
    run_dir: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Places:
        """By the two variables that say where: to stop a service takes no secret. Raises SettingsError."""
        settings = load({name: environ[name] for name in _DIRECTORIES if name in environ})
        run, log = settings.run_dir, settings.data_dir / "log"
        return cls(
            service=Daemon("service", run / "service.pid", log / "service.log"),
            background=Daemon("job worker", run / "background.pid", log / "background.log"),
            control_socket=run / "gunicorn.ctl",
            run_dir=run,
        )


def settings_of(pid: int) -> Settings:
    """The settings that a process was started with, whatever this one's are. Raises Gone and SettingsError."""
    return load(environment_of(pid))
