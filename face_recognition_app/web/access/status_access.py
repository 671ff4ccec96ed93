"""Access to the metrics, the pool status and the API's documentation: at which address, and with which key."""

from __future__ import annotations

from asgiref.typing import HTTPScope

from config.settings import Settings
from vocabulary.errors import ErrorCode
from web.access.credentials import Authenticate, check_credentials
from web.refusal import HttpRefusal

GUARDED = frozenset({"/metrics", "/api/pool/status/", "/api/docs"})


class StatusAccess:
    """With FACE_ADMIN_BIND guarded paths exist at that address only; else production asks for a key, by default."""

    def __init__(self, settings: Settings, may_read: Authenticate) -> None:
        self._admin_port = settings.admin_port
        self._needs_key = settings.app_env == "production" and not settings.public_status
        self._may_read = may_read

    async def check(self, scope: HTTPScope) -> None:
        """Raises HttpRefusal for a guarded path that this request may not see."""
        if scope["path"] not in GUARDED or self._is_on_admin_port(scope):
            return
        if self._admin_port is not None:
            raise HttpRefusal(ErrorCode.NOT_FOUND, "there is nothing at this path")
        if self._needs_key:
            await check_credentials(scope, self._may_read)

    def _is_on_admin_port(self, scope: HTTPScope) -> bool:
        """Whether the listener's own port is the admin one: no header of a client or proxy changes it."""
        server = scope.get("server")
        return self._admin_port is not None and server is not None and server[1] == self._admin_port
