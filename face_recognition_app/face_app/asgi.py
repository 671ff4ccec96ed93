"""The ASGI application: probes in front, then the socket or Django."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

import django
from asgiref.typing import HTTPScope
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from config.job_settings import job_settings  # noqa: E402
from config.service import service_settings  # noqa: E402
from config.settings import Settings  # noqa: E402
from database.outages import outage_of  # noqa: E402
from face_app.lifespan import Lifespan  # noqa: E402
from gallery.binding import NoGalleryFits  # noqa: E402
from gallery.protection.errors import MasterKeyError  # noqa: E402
from jobs.watching.collector import JobsCollector  # noqa: E402
from monitoring.collectors.certificates import CertificateCollector  # noqa: E402
from monitoring.collectors.servers import DatabaseCollector, RedisCollector  # noqa: E402
from monitoring.readiness import ONE_NETWORK, Report, SharedCheck, check_components  # noqa: E402
from recognition.api import auth, make_api  # noqa: E402
from recognition.api.errors import as_service_error, error_response  # noqa: E402
from recognition.api.openapi.allowances import Allowances  # noqa: E402
from recognition.streaming.answers import error_message  # noqa: E402
from recognition.streaming.consumer import serve_socket  # noqa: E402
from recognition.tokens.key_age import SigningKeyCollector  # noqa: E402
from recognition.worker import NoWorker, Worker, in_scope  # noqa: E402
from server.roster import shared_roster  # noqa: E402
from server.worker_metrics import RosterCollector  # noqa: E402
from web.access.body_limit import Allowance, BodyLimit  # noqa: E402
from web.access.hosts import HOST_ADVICE, AllowedHosts  # noqa: E402
from web.access.status_access import StatusAccess  # noqa: E402
from web.probes import Probes  # noqa: E402
from web.public_prefix import PublicPrefix  # noqa: E402
from web.request_metrics import RequestMetrics  # noqa: E402
from web.static_files import make_static_files  # noqa: E402
from web.strict_transport import StrictTransport  # noqa: E402
from wire.errors import Refused, Unavailable, UnknownToken, WireError  # noqa: E402

logger = logging.getLogger(__name__)


async def _readiness(scope: HTTPScope, report: Report) -> None:
    try:
        worker = in_scope(scope)
    except NoWorker as error:
        logger.warning("not ready: %s", error)
        report["models"] = "unavailable"
        return
    report["models"] = "ok"
    report["anti_spoof"] = "ok" if worker.engine.spoof_networks > 1 else ONE_NETWORK
    report.update(compute="stuck" if worker.is_stuck else "ok", database="unavailable")
    try:
        await worker.database.run(check_components, report)
        if report["database"] == report["migrations"] == "ok":
            await worker.database.run(_check_templates, worker, report)
    except Unavailable:  # Perhaps not before the connection was given back, and all was found right.
        report["database"] = "unavailable"


def _check_templates(worker: Worker, report: Report) -> None:
    """Name the templates in the report when they cannot be read or compared. Makes queries."""
    try:
        worker.deciding.prepare()
    except (MasterKeyError, NoGalleryFits) as error:
        logger.warning("not ready: %s", error)
        report["templates"] = "unavailable"


def _refusing(error: WireError) -> Any:
    """An application that accepts a socket, sends the error and closes: browsers hide why a handshake was refused."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": error_message(error).model_dump_json(exclude_none=True)})
        await send({"type": "websocket.close", "code": error.close_code})

    return refuse


@cache
def _allowances() -> Allowances:
    """The allowances, built once: that takes 70 ms."""
    return Allowances(make_api().get_openapi_schema(path_prefix="/api/"), service_settings().max_image_bytes)


def _allowance(method: str, path: str) -> Allowance | None:
    return _allowances()(method, path)


def _start_worker(settings: Settings) -> Worker:
    """Start the worker, and do what its first request would hold up the event loop with. Raises ModelError."""
    worker = Worker.start(settings)
    _allowance("POST", "/api/v1/sessions/")  # Loads Django's routes, too.
    return worker


class DjangoApplication(ASGIHandler):
    """ASGIHandler without its ThreadSensitiveContext: synchronous signal handlers and middleware share one thread
    instead of one per request. Database calls have threads of their own (database.calls)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.handle(scope, receive, send)
        except OSError as error:  # Django spools a large body to disk before any view runs.
            if outage_of(error) is None:
                raise
            await self.send_response(error_response(as_service_error(error)), send)


# Any: Django's path() is typed for views only, and each library defines its own ASGI types.
socket: Any = serve_socket
no_such_socket = _refusing(UnknownToken("there is no such socket; use the session's websocket_url"))
no_such_host = _refusing(Refused(HOST_ADVICE))
make_static_files()  # Before Django loads the middleware that lists them; `manage.py prepare` has made them already.
for receiver in (reset_queries, close_old_connections):  # Each request would wait for their thread, which has no
    request_started.disconnect(receiver)  # database connection: calls have threads of their own, and close those.
django_application: Any = DjangoApplication()
sockets: Any = URLRouter([path("ws/auth/process-image/<str:token>/", socket), re_path("", no_such_socket)])
http: Any = BodyLimit(django_application, _allowance, auth.is_somebody)

probes = Probes(
    ProtocolTypeRouter(
        {
            "lifespan": Lifespan(_start_worker),
            "http": AllowedHosts(http, settings.ALLOWED_HOSTS, no_such_host),
            "websocket": AllowedHosts(sockets, settings.ALLOWED_HOSTS, no_such_host),
        }
    ),
    service_settings(),
    SharedCheck(_readiness),
    StatusAccess(service_settings(), auth.may_read),
    [
        RosterCollector(shared_roster()),
        JobsCollector(sends=not job_settings().is_embedded),
        DatabaseCollector(),
        *([RedisCollector(service_settings().redis_url)] if service_settings().redis_url else []),
        CertificateCollector(service_settings().tls_certificate),
        SigningKeyCollector(service_settings().data_dir),
    ],
)

application = StrictTransport(
    PublicPrefix(RequestMetrics(probes), service_settings().public_url), service_settings().hsts_max_age_s
)
