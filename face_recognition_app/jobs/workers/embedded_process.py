"""A process of the embedded worker. Imports nothing of Django's before it is set up: the process is started anew."""

from __future__ import annotations

import logging
import os
import signal
from multiprocessing.connection import Connection

logger = logging.getLogger(__name__)

READY = "ready"


def do_jobs(pipe: Connection) -> None:
    """Do the jobs that are named, until the worker has ended. Says READY, and then of each job a RunEnded or None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The worker ends its processes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # What is counted of jobs, the worker's parent counts.
    import django

    django.setup()
    from config.job_settings import job_settings
    from jobs.watching.log_set_up import set_up_logs
    from jobs.workers import execution
    from wire.errors import Unavailable

    set_up_logs(job_settings())
    pipe.send(READY)
    while True:
        try:
            job_pk = pipe.recv()
        except EOFError:
            return
        ended = None
        try:
            ended = execution.execute(job_pk)
        except Unavailable as error:
            logger.warning("job %d waits for the database: %s", job_pk, error)
        pipe.send(ended)
