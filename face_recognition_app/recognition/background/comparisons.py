"""Comparing a gallery with itself: people under several subjects, and how often people are taken for each other, as
`manage.py find_duplicates` and `calibrate` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from config.service import service_settings
from core.features.embedder.false_matches import TooFewPairs
from gallery.models import Subject
from gallery.protection.errors import SecretGone
from gallery.rates.calibration import read, store
from gallery.rates.identification_rates import Rate, TooFewSubjects
from gallery.rates.measuring import Measured, RatesAt, measure, rates, record_comparison
from gallery.records.references import reference_of
from gallery.upkeep import duplicates
from gallery.upkeep.duplicates import DuplicatePair, Searched
from jobs.kinds import Kind, Payload
from jobs.run import Refused, Result, Run
from recognition.background.parts import Part, id_of, in_parts
from recognition.background.reports.files import ReportGone, Reports, as_bytes
from recognition.deciding import Deciding
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.jobs import JobType


class FindDuplicates(Payload):
    """`limit`: most pairs."""

    limit: int = Field(1_000, ge=1, le=10_000)


class SearchState(BaseModel):
    """`total`: None before the search. `kept_by`: number of the run whose part of the report has the pairs; 0: none."""

    total: int | None = None
    done: int = 0
    last: int = 0
    kept_by: int = 0


class ReportedPair(BaseModel):
    """Two subjects with one face, by their random references: after an erasure they stand for nobody."""

    subjects: tuple[UUID, UUID]
    similarity: float
    threshold: float


@dataclass(slots=True)
class Pairs:
    """The pairs that a search has found, as its report has them. `kept`: the number of those that are in a file."""

    reports: Reports
    job: UUID
    found: list[ReportedPair] = field(default_factory=list)
    kept: int = 0

    def take(self, pair: DuplicatePair) -> None:
        one, other = (reference_of(self.reports.tenant, subject_id) for subject_id in pair.subjects)
        if one is not None and other is not None:  # Neither was erased meanwhile.
            self.found.append(ReportedPair(subjects=(one, other), similarity=pair.similarity, threshold=pair.threshold))

    def load(self, run: int) -> None:
        """Read what an earlier run has kept."""
        self.found = pairs_in(self.reports.read_part(self.job, run))
        self.kept = len(self.found)

    def keep(self, run: int) -> bool:
        """Write what was found, if some of it is in no file yet. Returns whether it was written."""
        if len(self.found) == self.kept:
            return False
        self.reports.write_part(self.job, run, self.content())
        self.kept = len(self.found)
        return True

    def content(self) -> bytes:
        return as_bytes([one.model_dump(mode="json") for one in self.found])


def pairs_in(content: bytes) -> list[ReportedPair]:
    return [ReportedPair.model_validate(one) for one in json.loads(content)]


def names_of(tenant: Tenant, pairs: Sequence[ReportedPair]) -> dict[UUID, str]:
    """Subject ids by reference, of those who are still there."""
    references = {reference for pair in pairs for reference in pair.subjects}
    rows = Subject.objects.filter(tenant=tenant, reference__in=references)
    return {reference: name for reference, name in rows.values_list("reference", "subject_id") if reference is not None}


@in_parts
def find_duplicates(run: Run, asked: FindDuplicates) -> Result:
    tenant, deciding = run.own_tenant, Deciding.load(service_settings())
    gallery, target = deciding.gallery_of(tenant), deciding.settings.target_fpir
    pairs = Pairs(Reports(deciding.settings.data_dir, tenant, gallery.protection), id_of(run))
    part = Part(run, SearchState, lambda: _note(part.state, pairs, searched, run.number))
    if part.state.total is None:
        with part.step():
            searched = duplicates.begin(tenant)
            part.state.total = searched.total
    else:
        _go_on(part.state, pairs)
        searched = _searched(part.state, tenant, pairs.found)
    if len(pairs.found) < asked.limit:
        for pair in duplicates.find(tenant, gallery, target, part.advance, searched):
            pairs.take(pair)
            if len(pairs.found) >= asked.limit:
                break
    if pairs.found:
        pairs.reports.write(pairs.job, pairs.content())
    pairs.reports.delete_parts(pairs.job)
    return {
        "subjects": searched.total,
        "pairs": len(pairs.found),
        "stopped": len(pairs.found) >= asked.limit,
        "expected_by_chance": searched.total * target,
        "report": pairs.reports.name(pairs.job) if pairs.found else None,
    }


def _go_on(state: SearchState, pairs: Pairs) -> None:
    """Read what was found before. Begins anew where that is gone: with a job that was cancelled and is tried again, or
    with the secret that it was sealed with."""
    try:
        if state.kept_by:
            pairs.load(state.kept_by)
    except (ReportGone, SecretGone):
        state.done = state.last = state.kept_by = 0


def _searched(state: SearchState, tenant: Tenant, found: Sequence[ReportedPair]) -> Searched:
    names = names_of(tenant, found)
    known = {frozenset(names.get(reference, "") for reference in pair.subjects) for pair in found}
    return Searched(state.total or 0, state.done, state.last, known)


def _note(state: SearchState, pairs: Pairs, searched: Searched, run: int) -> None:
    state.done, state.last = searched.done, searched.last
    if pairs.keep(run):
        state.kept_by = run


class Calibrate(Payload):
    """`dry_run`: measure, and store nothing. `forget`: use the embedder's own rates again."""

    dry_run: bool = False
    forget: bool = False

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Calibrate:
        if self.dry_run and self.forget:
            raise ValueError("dry_run and forget exclude each other")
        return self


class CalibrateState(BaseModel):
    """`result`: what was measured and, unless it was a dry run, stored; None before that."""

    recorded: bool = False
    result: dict[str, Any] | None = None


@in_parts
def calibrate(run: Run, asked: Calibrate) -> Result:
    tenant, part = run.own_tenant, Part(run, CalibrateState)
    if part.state.result is None and asked.forget:
        with part.step():
            store(tenant, None)
            part.state.result = {"stored": False, "forgotten": True}
    elif part.state.result is None:
        _measure(part, tenant, keep=not asked.dry_run)
    return part.state.result


def _measure(part: Part[CalibrateState], tenant: Tenant, *, keep: bool) -> None:
    deciding = Deciding.load(service_settings())
    gallery, target = deciding.gallery_of(tenant), deciding.settings.target_fpir
    if not part.state.recorded:
        with part.step():
            record_comparison(tenant, gallery)
            part.state.recorded = True
    labelled = read(tenant, gallery.model_id, gallery.protection)
    try:
        measured = measure(gallery, tenant, labelled, part.show)  # Seconds, of a gallery of any size.
    except (TooFewSubjects, TooFewPairs) as error:
        raise Refused(str(error)) from error
    result = _told(measured, list(rates(measured, gallery, target)), gallery.model_id)
    with part.step():
        if keep:
            store(tenant, measured.calibration)
        part.state.result = {"stored": keep, **result}


def _told(measured: Measured, at: Sequence[RatesAt], model_id: str) -> dict[str, Any]:
    """`last_fault`: why the calibration until now held no longer; null when it did, or when there was none."""
    last = measured.last
    return {
        "templates": measured.compared.templates,
        "subjects": measured.compared.subjects,
        "pairs": measured.calibration.pairs,
        "last_fault": None if last is None else last.fault(model_id, measured.held),
        "rates": [
            {
                "target": one.target,
                "calibrated": one.calibrated,
                "threshold": one.threshold,
                "fpir": as_json(one.fpir),
                "fnir": as_json(one.fnir),
            }
            for one in at
        ],
    }


def as_json(rate: Rate) -> dict[str, float | int | None]:
    """`rate` is null where nothing was tried. `low` and `high`: one-sided limits, each with a confidence of 95 %."""
    value = rate.value if rate.tries else None
    return {"errors": rate.errors, "tries": rate.tries, "rate": value, "low": rate.low, "high": rate.high}


KINDS = [
    Kind(
        JobType.FIND_DUPLICATES,
        "Searches a gallery for people who are enrolled under several subjects.",
        FindDuplicates,
        find_duplicates,
        "cpu",
        Scope.ADMIN,
    ),
    Kind(
        JobType.CALIBRATE,
        "Measures how often people are taken for each other in a gallery, and holds searches to it.",
        Calibrate,
        calibrate,
        "cpu",
        Scope.ADMIN,
    ),
]
