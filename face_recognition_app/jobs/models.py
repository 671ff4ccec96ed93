"""Background jobs, what became of them, and who schedules. The database is the truth; a broker carries only ids."""

from __future__ import annotations

import uuid

from django.db import models

from database.owned import TenantOwned
from tenants.models import Tenant
from vocabulary.jobs import JobStatus, JobType, Priority


class Job(TenantOwned):
    """One job. `tenant` is null for the operator's own, such as retention for all tenants.

    `runs` counts beginnings; whoever runs the job may write only while `runs` is what it was when it began, so a worker
    that was thought dead changes nothing. `failures` counts those that ended badly.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="jobs")
    type = models.CharField(max_length=32, choices=[(one, one) for one in JobType])
    priority = models.CharField(max_length=8, choices=[(one, one) for one in Priority])
    status = models.CharField(max_length=12, choices=[(one, one) for one in JobStatus])
    payload = models.JSONField(default=dict)
    subject_id = models.CharField(
        max_length=128, default="", blank=True, help_text="The person that the payload names; empty: none."
    )
    checkpoint = models.JSONField(null=True, help_text="How far the job is; null: nothing is done yet.")
    result = models.JSONField(null=True)
    error = models.CharField(max_length=500, default="", blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True, help_text="Null: not known.")
    run_at = models.DateTimeField(null=True, help_text="Not before; null: at once.")
    idempotency_key = models.CharField(max_length=128, null=True, help_text="A second job with it is the first one.")
    request_digest = models.CharField(
        max_length=64, default="", blank=True, help_text="Of what was asked with the key; empty: not compared."
    )
    runs = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=128, default="", blank=True, help_text="Host and process that has it.")
    lease_until = models.DateTimeField(null=True, help_text="Until when its worker is taken to be alive.")
    cancelling = models.BooleanField(default=False, help_text="Whether it is to stop.")
    actor = models.JSONField(help_text="Who asked for it: kind, reference, name.")
    request_id = models.CharField(max_length=128, default="", blank=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, help_text="When its id went to the broker last.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="job_once_per_key"),
            models.UniqueConstraint(
                fields=["idempotency_key"],
                condition=models.Q(tenant__isnull=True),
                name="job_of_the_operator_once_per_key",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "priority", "id"], name="jobs_waiting"),
            models.Index(fields=["run_at"], condition=models.Q(status=JobStatus.SCHEDULED), name="jobs_scheduled"),
            models.Index(fields=["lease_until"], condition=models.Q(status=JobStatus.RUNNING), name="jobs_running"),
            models.Index(fields=["finished_at"], name="jobs_finished"),
            models.Index(fields=["tenant", "subject_id"], condition=~models.Q(subject_id=""), name="jobs_about_people"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.public_id}"


class DeadLetter(models.Model):
    """A job that is given up, or a message of the broker that nobody can read. For operators only."""

    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="letters")
    reason = models.CharField(max_length=500)
    traceback = models.TextField(default="", blank=True)
    body = models.BinaryField(default=b"", help_text="What was found in the broker; empty for a job.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.reason


class SchedulerSeat(models.Model):
    """The one row that a scheduler holds to be the one that leads."""

    holder = models.CharField(max_length=128, default="", blank=True)
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.holder


class Schedule(models.Model):
    """A job that is made again and again. `next_due` moves on in the transaction that makes the job, so that each time
    makes one, however many schedulers there are.
    """

    name = models.CharField(max_length=64, unique=True)
    type = models.CharField(max_length=32)
    payload = models.JSONField(default=dict)
    every_s = models.FloatField()
    catches_up = models.BooleanField(default=False, help_text="Whether times that were missed are made up for.")
    next_due = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
