"""The job that delivers one event: it tries, waits, and tries again, until the receiver has it or it is given up.

A receiver gets an event at least once, under one id: who dies between sending and noting sends again.
"""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

from config.service import service_settings
from config.settings import Settings
from database import clock
from jobs.kinds import Payload
from jobs.run import Again, Result, Run
from vocabulary.version import VERSION
from vocabulary.webhooks import DeliveryStatus
from webhooks import deliveries, endpoints, health, secrets
from webhooks.attempts import Attempt
from webhooks.models import Delivery
from webhooks.secrets import SecretUnreadable
from webhooks.sending import sender
from webhooks.sending.addresses import Rules
from webhooks.sending.sender import Answer

DISABLED = "the webhook is disabled"


class Deliver(Payload):
    delivery: uuid.UUID


def deliver(run: Run, asked: Deliver) -> Result | Again:
    rows = Delivery.objects.select_related("endpoint", "tenant")
    delivery = rows.filter(tenant=run.own_tenant, public_id=asked.delivery).first()
    if delivery is None:
        return {"status": "deleted"}
    if delivery.status == DeliveryStatus.PENDING:
        if deliveries.is_held_up(delivery) and deliveries.wait_in_line(delivery):
            return {"status": "waits"}
        after_s = _try(run, delivery, service_settings())
        if after_s:
            return Again(after_s)
    deliveries.go_on_with_next(delivery)
    deliveries.forget_if_told(delivery)
    return {"status": delivery.status}


def _try(run: Run, delivery: Delivery, settings: Settings) -> float:
    """Try once. Returns the seconds until the next try; 0 when the delivery has ended."""
    endpoint = delivery.endpoint
    if not endpoint.enabled:
        with run.step():
            deliveries.note(delivery, Attempt.not_made(DISABLED, clock.now()), DeliveryStatus.DEAD)
        return 0.0
    if wait_s := health.wait_before_try(endpoint):
        return wait_s
    run.check()
    answer = _send(delivery, settings)
    status, after_s = _what_next(delivery, answer, settings)
    with run.step():
        if answer.is_success:
            health.note_success(endpoint)
        else:
            health.note_failure(endpoint, answer.is_gone, timedelta(days=settings.webhook_disable_after_days))
        deliveries.note(delivery, Attempt.of(answer, clock.now()), status)
    return after_s


def _send(delivery: Delivery, settings: Settings) -> Answer:
    timestamp = int(clock.now().timestamp())
    message_id = str(delivery.public_id)
    try:
        keys = endpoints.signing_keys(delivery.endpoint)
    except SecretUnreadable as error:
        return Answer(None, 0, error=str(error))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"face-service/{VERSION}",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": secrets.signatures(keys, message_id, timestamp, delivery.body),
    }
    rules = Rules.of(settings)
    return sender.post(delivery.endpoint.url, delivery.body.encode(), headers, rules, settings.webhook_timeout_s)


def _what_next(delivery: Delivery, answer: Answer, settings: Settings) -> tuple[DeliveryStatus, float]:
    waits = settings.webhook_retry_s
    if answer.is_success:
        return DeliveryStatus.DELIVERED, 0.0
    if answer.is_gone or delivery.tries >= len(waits):
        return DeliveryStatus.DEAD, 0.0
    return DeliveryStatus.PENDING, waits[delivery.tries] * random.uniform(0.9, 1.1)  # noqa: S311
