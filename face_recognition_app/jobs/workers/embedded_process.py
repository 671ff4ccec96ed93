"""A process of the embedded worker. Imports nothing of Django's before it is set up: the process is started anew."""

from __future__ import annotations

import logging
import signal
from multiprocessing.connection import Connection

logger = logging.getLogger(__name__)

READY = -1


def do_jobs(pipe: Connection) -> None:
    """Do the jobs that are named, until the worker has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The worker ends its processes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import django

    django.setup()
    from jobs.workers import execution
    from wire.errors import Unavailable

    pipe.send(READY)
    while True:
        try:
            job_pk = pipe.recv()
        except EOFError:
            return
        try:
            execution.execute(job_pk)
        except Unavailable as error:
            logger.warning("job %d waits for the database: %s", job_pk, error)
        pipe.send(job_pk)
