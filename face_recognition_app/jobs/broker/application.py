"""The Celery application: how ids of jobs get to workers. The database says what a job is and what became of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import kombu.transport.redis
from celery import Celery
from kombu import Queue

from config.job_settings import job_settings
from config.service import service_settings
from jobs.broker import queues
from jobs.broker.messages import reading

REDELIVERED_AFTER_S = 60
"""When the broker delivers an id again that no worker has acknowledged. A worker acknowledges it when a run begins, so
only what a dead worker had taken beforehand waits as long; a second delivery of a job that has begun does nothing."""
SILENCE_S = 5
"""How long Redis may be silent before a connection counts as cut."""

kombu.transport.redis.loads = reading(kombu.transport.redis.loads)


@cache
def application() -> Celery:
    """Needs REDIS_URL."""
    settings = job_settings()
    app = Celery("face", broker=settings.redis_url, set_as_current=True)
    app.conf.update(
        task_queues=[Queue(name, routing_key=name) for name in queues.ALL],
        task_default_queue=queues.ALL[0],
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_time_limit=settings.job_timeout_s,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=settings.stop_after_s,
        worker_proc_alive_timeout=30,
        broker_pool_limit=service_settings().redis_max_connections,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(),
        control_queue_ttl=60.0,
    )
    return app


def _transport_options() -> dict[str, Any]:
    return {
        "global_keyprefix": queues.KEY_PREFIX,
        "queue_order_strategy": "priority",
        "priority_steps": [0],
        "max_connections": service_settings().redis_max_connections,
        "visibility_timeout": REDELIVERED_AFTER_S,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": SILENCE_S,
        "socket_timeout": SILENCE_S,
        "socket_keepalive": True,
        "health_check_interval": SILENCE_S,
        "retry_on_timeout": True,
    }
