"""Numbers of what sessions came to: each day's, in the night after it, and how liveness has decided."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from config.service import service_settings
from database import clock
from database.replica import read_stale
from jobs.kinds import Kind, Payload
from jobs.run import Refused, Result, Run
from recognition.background.comparisons import as_json
from recognition.background.parts import Part, in_parts
from recognition.outcomes import summaries
from recognition.outcomes.presentations import (
    BONA_FIDE,
    Presentations,
    Seen,
    TooManySpecies,
    decided,
    page,
    presentations,
)
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.jobs import JobType


class Summarise(Payload):
    """`day`: this one alone (UTC). Without it every day that is over, has no summary, and whose sessions are kept."""

    day: date | None = None


class SummariseState(BaseModel):
    """`summaries`: number of those that were stored."""

    summaries: int = 0


@in_parts
def summarise_outcomes(run: Run, asked: Summarise) -> Result:
    part = Part(run, SummariseState)
    if asked.day is not None and asked.day >= clock.now().date():
        raise Refused(f"{asked.day} is not over (UTC)")
    most = service_settings().retain_sessions_days
    wanted = [
        (tenant, day)
        for tenant in Tenant.objects.order_by("name")
        for day in summaries.missing_days(tenant, clock.now(), most)
        if asked.day in (None, day)
    ]
    before = part.state.summaries
    for done, (tenant, day) in enumerate(wanted):
        part.advance(before + done, before + len(wanted))
        with part.step():
            found = summaries.summarise(tenant, day)
            part.state.summaries += found is not None
        if found is not None:
            summaries.log(tenant, found)
    run.done = run.total = before + len(wanted)
    part.keep()
    return {"summaries": part.state.summaries}


class PadReport(Payload):
    """`days`: how far back. `label`: key of the metadata that says what was shown in a test's sessions."""

    days: int = Field(30, ge=1, le=3_650)
    label: str = Field("presentation", min_length=1, max_length=64)


class Counted(BaseModel):
    seen: Seen
    number: int


class PadState(BaseModel):
    """`since`: what is counted; None before it is looked up. `last`: primary key of the last decision that is."""

    since: datetime | None = None
    total: int = 0
    done: int = 0
    last: int = 0
    counts: list[Counted] = []


@in_parts
def pad_report(run: Run, asked: PadReport) -> Result:
    part = Part(run, PadState)
    state = part.state
    if state.since is None:
        state.since = clock.now() - timedelta(days=asked.days)
        state.total = decided(run.own_tenant, state.since).count()
        part.keep()
    rows = decided(run.own_tenant, state.since)
    counts = Counter({one.seen: one.number for one in state.counts})
    while True:
        state.last, more = read_stale(page, rows, state.last, asked.label)
        if not more:
            break
        counts += more
        state.done += more.total()
        state.counts = [Counted(seen=seen, number=number) for seen, number in counts.items()]
        part.advance(state.done, max(state.done, state.total))
    try:
        return _pad_told(asked, state.since, counts)
    except TooManySpecies as error:
        raise Refused(str(error)) from error


def _pad_told(asked: PadReport, since: datetime, counts: Counter[Seen]) -> dict[str, Any]:
    """`labelled` is null unless the metadata of some session says what was shown: then there are no rates."""
    shown = presentations(counts)
    of_sessions = Counter[tuple[str, str, str, str]]()
    for seen, number in counts.items():
        of_sessions[(seen.kind, seen.liveness, seen.outcome, seen.reason)] += number
    return {
        "since": since.isoformat(),
        "sessions": counts.total(),
        "decisions": [
            {"kind": kind, "liveness": policy, "outcome": outcome, "reason": reason or None, "sessions": number}
            for (kind, policy, outcome, reason), number in sorted(of_sessions.items())
        ],
        "labelled": _labelled(shown) if shown else None,
    }


def _labelled(shown: list[Presentations]) -> dict[str, Any]:
    """`apcer` is that of the artefact that passed most often; null without an attack that was classified."""
    attacks = [one for one in shown if one.shown != BONA_FIDE]
    rates = [one.errors.value for one in attacks if one.errors.tries]
    people = next((one for one in shown if one.shown == BONA_FIDE), None)
    return {
        "apcer": max(rates, default=None),
        "attacks": [
            {"artefact": one.shown, "apcer": as_json(one.errors), "non_responses": one.non_responses} for one in attacks
        ],
        "bona_fide": None
        if people is None
        else {"bpcer": as_json(people.errors), "non_responses": people.non_responses},
    }


KINDS = [
    Kind(
        JobType.SUMMARISE_OUTCOMES,
        "Stores each tenant's numbers of each day that is over.",
        Summarise,
        summarise_outcomes,
        "db",
        of_tenant="never",
    ),
    Kind(
        JobType.PAD_REPORT,
        "Counts how liveness has decided, with error rates where a test's sessions say what was shown.",
        PadReport,
        pad_report,
        "db",
        Scope.ADMIN,
    ),
]
