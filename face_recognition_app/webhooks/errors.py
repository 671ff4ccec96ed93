"""Why a request about webhooks is refused."""

from __future__ import annotations

from vocabulary.errors import ErrorCode, ServiceError


class WebhookError(ServiceError):
    """
    WebhookError
    ├── WebhookNotFound
    ├── DeliveryNotFound
    ├── UrlRefused        the service sends nothing to this address
    ├── TooManyWebhooks   the tenant would have more than MAX_WEBHOOKS
    ├── WebhookDisabled   enable it first
    └── NotReplayable     the delivery is under way, or what it said was erased
    """


class WebhookNotFound(WebhookError):
    code = ErrorCode.WEBHOOK_NOT_FOUND


class DeliveryNotFound(WebhookError):
    code = ErrorCode.DELIVERY_NOT_FOUND


class UrlRefused(WebhookError):
    code = ErrorCode.WEBHOOK_URL_REFUSED


class TooManyWebhooks(WebhookError):
    code = ErrorCode.TOO_MANY_WEBHOOKS


class WebhookDisabled(WebhookError):
    code = ErrorCode.WEBHOOK_DISABLED


class NotReplayable(WebhookError):
    code = ErrorCode.NOT_REPLAYABLE
