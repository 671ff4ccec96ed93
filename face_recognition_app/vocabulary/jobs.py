"""Types, priorities and statuses of background jobs, and modes of the workers that run them."""

from __future__ import annotations

from enum import StrEnum


class JobType(StrEnum):
    """What a job does. `noop`, `sleep` and `fail` are for tests and measurements, and not accepted in production."""

    BULK_ENROLL = "bulk_enroll"
    REEMBED = "reembed"
    FIND_DUPLICATES = "find_duplicates"
    REBUILD_INDEX = "rebuild_index"
    ROTATE_KEYS = "rotate_keys"
    RETENTION = "retention"
    EXPORT_SUBJECT = "export_subject"
    ERASE_SUBJECT = "erase_subject"
    CALIBRATE = "calibrate"
    PAD_REPORT = "pad_report"
    DELIVER_WEBHOOK = "deliver_webhook"
    SUMMARISE_OUTCOMES = "summarise_outcomes"
    NOOP = "noop"
    SLEEP = "sleep"
    FAIL = "fail"


FOR_TESTS = frozenset({JobType.NOOP, JobType.SLEEP, JobType.FAIL})


class Priority(StrEnum):
    """Strict: no job is begun while one of a higher priority waits for the same worker."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class JobStatus(StrEnum):
    """State of a job.

    QUEUED     waits for a worker
    SCHEDULED  waits for its time: `run_at`, or the next try after a failure
    RUNNING    a worker has it
    SUCCEEDED  done, with its result
    FAILED     the job itself found that it cannot be done; trying again would find the same
    DEAD       failed at every try, or killed its workers; kept as a dead letter
    CANCELLED  by the tenant or an operator
    """

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class RunOutcome(StrEnum):
    """How one run of a job ended.

    SUCCEEDED  the job is done
    FAILED     the job itself found that it cannot be done
    DEAD       an error, after the last try
    RETRIED    an error; the job waits for its next try
    CANCELLED  it was told to stop
    CONTINUED  a part is done, and the job goes on in another run
    DROPPED    another worker has the job, or the database was away; nothing is known of it here
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    RETRIED = "retried"
    CANCELLED = "cancelled"
    CONTINUED = "continued"
    DROPPED = "dropped"


UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.RUNNING})
FINISHED = frozenset(JobStatus) - UNFINISHED


class WorkerMode(StrEnum):
    """What a job worker runs.

    THIN             every type and priority, few slots, with the scheduler inside
    DEFAULT          every type and priority
    SPECIALIZED      some priorities
    JOB_SPECIALIZED  some types
    SCHEDULER_ONLY   no job: publishes what is due
    """

    THIN = "thin"
    DEFAULT = "default"
    SPECIALIZED = "specialized"
    JOB_SPECIALIZED = "job-specialized"
    SCHEDULER_ONLY = "scheduler-only"
