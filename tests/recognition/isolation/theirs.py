"""Two tenants that must not notice each other: what one of them has, and what of it can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.db.backends.utils import CursorWrapper

from core.types import Embedding
from database.owned import TenantOwned
from gallery.people import Sample
from jobs import changing
from jobs.asking import ask
from jobs.submitting import NewJob, submit
from jobs.workers.execution import execute
from recognition.api.pages import cursor_for
from recognition.models import FailedAttempts
from recognition.outcomes import summaries
from recognition.sessions import lifecycle
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.models import Tenant
from tenants.scopes import Scope
from tests.enrolling import enroll
from tests.recognition.failing import LIMIT, fail
from tests.recognition.support import Backend, asked, http_client
from vocabulary.jobs import JobType
from vocabulary.webhooks import DeliveryStatus, EventType
from webhooks import deliveries, endpoints
from webhooks.endpoints import NewEndpoint
from webhooks.models import Delivery

OTHER_IDS = {("retry_job", "job_id"): "ended_job_id", ("read_report", "job_id"): "report_job_id"}
"""Where an operation needs another thing than the rest."""
WHO, DEVICE, IDEMPOTENCY_KEY = "grace", "phone", "order-7"
COUNTED = date(2026, 1, 31)
"""A day of which there are numbers."""


@dataclass(frozen=True)
class Theirs:
    """Every id and secret of another tenant that a caller could try; `api_key` opens that tenant."""

    api_key: str
    access_token: str
    decision_token: str
    session_id: str
    session_token: str
    subject_id: str
    template_id: str
    key_id: str
    job_id: str
    ended_job_id: str
    report_job_id: str
    webhook_id: str
    delivery_id: str
    day: str
    device_id: str
    idempotency_key: str
    cursor: str

    def id_for(self, operation: str, name: str) -> str:
        """What stands for `{name}` in the operation's path."""
        return self.path[OTHER_IDS.get((operation, name), name)]

    @property
    def path(self) -> dict[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


async def make_theirs(worker: Worker, backend: Backend, embedding: Embedding) -> Theirs:
    """Enrol somebody, decide one session, leave one open, lock the subject and its device; a job waits, one ended, and
    one has a report."""
    async with http_client(backend.key) as client:
        access = (await client.post("/api/v1/auth/token/")).json()["access_token"]

    def make() -> Theirs:
        tenant, deciding = backend.tenant, worker.deciding
        (template,) = enroll(tenant, WHO, [Sample(embedding, 1.0)], deciding.gallery, deciding.rules)
        request = asked("enrollment", WHO, device_id=DEVICE)
        session = lifecycle.create(deciding, tenant, request, IDEMPOTENCY_KEY).session
        decision = fail(worker, backend, LIMIT, subject_id=WHO, device_id=DEVICE)
        webhook_id, delivery_id = webhook_with_a_delivery(tenant)
        cursor = cursor_for(tenant, 1)
        once = NewJob(JobType.NOOP, idempotency_key=IDEMPOTENCY_KEY)
        assert cursor is not None
        summaries.summarise(tenant, COUNTED)
        job = submit(tenant, NewJob(JobType.EXPORT_SUBJECT, {"subject_id": WHO}))
        execute(job.pk)
        return Theirs(
            api_key=backend.key,
            access_token=access,
            decision_token=decision.token,
            session_id=str(session.pk),
            session_token=lifecycle.token_of(deciding, session),
            subject_id=WHO,
            template_id=str(template.public_id),
            key_id=str(issue_key(tenant, "spare", [Scope.READ]).row.public_id),
            report_job_id=str(job.public_id),
            job_id=str(ask(tenant, frozenset(Scope), once, in_production=False).public_id),
            ended_job_id=str(changing.cancel(submit(tenant, NewJob(JobType.NOOP))).public_id),
            webhook_id=webhook_id,
            delivery_id=delivery_id,
            day=str(COUNTED),
            device_id=DEVICE,
            idempotency_key=IDEMPOTENCY_KEY,
            cursor=cursor,
        )

    theirs: Theirs = await worker.database.run(make)
    return theirs


def webhook_with_a_delivery(tenant: Tenant) -> tuple[str, str]:
    """Ids of a webhook, and of a delivery to it that was given up."""
    made = endpoints.create(tenant, NewEndpoint("https://1.1.1.1/hook", [EventType.WEBHOOK_TEST]))
    delivery = deliveries.send_test(tenant, made.row.public_id)
    Delivery.objects.filter(tenant=tenant).update(status=DeliveryStatus.DEAD)
    return str(made.row.public_id), str(delivery.public_id)


def rows_of(tenant: Tenant) -> dict[str, list[Any]]:
    """All that is stored of a tenant."""
    found: dict[str, list[Any]] = {"Tenant": list(Tenant.objects.filter(pk=tenant.pk).values())}
    for model in apps.get_models():
        if issubclass(model, TenantOwned):
            found[model.__name__] = list(
                model.across_tenants.filter(**{_way_to_tenant(model): tenant.pk}).order_by("pk").values()
            )
    return found


def failures_of(tenant: Tenant) -> int:
    return FailedAttempts.objects.filter(tenant=tenant).count()


def _way_to_tenant(model: type[models.Model]) -> str:
    names = {field.name for field in model._meta.fields}
    return "tenant" if "tenant" in names else "subject__tenant"


MADE_ANEW = {
    "request_id",
    "id",
    "token",
    "websocket_url",
    "expires_at",
    "created_at",
    "api_key",
    "secret",
    "prefix",
    "access_token",
    "decision_token",
}


def without_what_is_new(answer: Any) -> Any:
    """A JSON value with the name in place of what differs in every answer: ids and secrets that it made, times."""
    if isinstance(answer, dict):
        return {
            name: name if name in MADE_ANEW and isinstance(value, str) else without_what_is_new(value)
            for name, value in answer.items()
        }
    return [without_what_is_new(value) for value in answer] if isinstance(answer, list) else answer


@contextmanager
def statements(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that all threads make meanwhile, without values and names of savepoints."""
    made: list[str] = []
    really = CursorWrapper.execute

    def execute(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        made.append(re.sub(r"s\d+_x\d+", "savepoint", str(sql)))
        return really(self, sql, params)

    with patch.context() as recording:
        recording.setattr(CursorWrapper, "execute", execute)
        yield made
