"""How liveness has decided: counts of all sessions, and error rates of those whose backend has said what was shown.

A service cannot know which of its sessions were attacks. Who tests it with artefacts says so in the metadata of the
test's sessions: `{"presentation": "bona_fide"}` for a person, and the name of the artefact for everything else. Rates
are those of ISO/IEC 30107-3: APCER of each artefact, the share of its presentations that passed, and BPCER, the share
of people who were refused. Sessions in which nobody was seen to try (timeouts, slow connections) are in neither: they
are counted as non-responses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from gallery.rates.identification_rates import Rate
from recognition.models import Decision
from tenants.models import Tenant
from vocabulary.sessions import REASONS, LivenessOutcome, Reason

BONA_FIDE = "bona_fide"
MOST_SPECIES = 100
MAX_NAME = 64
PAGE = 1_000


class TooManySpecies(Exception):
    """The label has more words than a test has artefacts: it is not the label."""


class Seen(NamedTuple):
    """A kind of decision. `shown`: what the backend said was shown; empty when it said nothing."""

    kind: str
    liveness: str
    outcome: str
    reason: str
    shown: str

    @property
    def responded(self) -> bool:
        """Whether liveness has classified somebody."""
        return self.outcome == LivenessOutcome.PASSED or bool(self.reason and REASONS[Reason(self.reason)].counts)

    @property
    def passed(self) -> bool:
        return self.outcome == LivenessOutcome.PASSED


@dataclass(frozen=True, slots=True)
class Presentations:
    """One artefact's or all people's. `errors`: attacks that passed, or people who were refused."""

    shown: str
    errors: Rate
    non_responses: int


def decided(tenant: Tenant, since: datetime) -> QuerySet[Decision]:
    """Decisions of sessions that needed liveness, in the order in which they are counted."""
    rows = Decision.objects.filter(tenant=tenant, created_at__gte=since)
    return rows.exclude(liveness=LivenessOutcome.NOT_REQUIRED).order_by("pk")


def page(rows: QuerySet[Decision], after: int, label: str) -> tuple[int, Counter[Seen]]:
    """Count the next decisions. Returns the last one's primary key; counts are empty when there are no more."""
    of_session = ("session__kind", "session__liveness", "session__metadata")
    found = list(rows.filter(pk__gt=after).values_list("pk", "liveness", "reason", *of_session)[:PAGE])
    counted = Counter(
        Seen(kind, policy, outcome, reason, _label(metadata, label))
        for _, outcome, reason, kind, policy, metadata in found
    )
    return (found[-1][0] if found else after), counted


def presentations(counts: Mapping[Seen, int]) -> list[Presentations]:
    """Of each artefact and of people, by name. Raises TooManySpecies."""
    names = sorted({seen.shown for seen in counts if seen.shown})
    if len(names) > MOST_SPECIES:
        raise TooManySpecies(f"there are {len(names)} different labels, and a report has {MOST_SPECIES}")
    return [_of(name, [(seen, number) for seen, number in counts.items() if seen.shown == name]) for name in names]


def _of(name: str, counts: Iterable[tuple[Seen, int]]) -> Presentations:
    classified = errors = non_responses = 0
    for seen, number in counts:
        if not seen.responded:
            non_responses += number
            continue
        classified += number
        if seen.passed == (name != BONA_FIDE):
            errors += number
    return Presentations(name, Rate(errors, classified), non_responses)


def _label(metadata: Any, label: str) -> str:
    found = metadata.get(label) if isinstance(metadata, dict) else None
    return found[:MAX_NAME] if isinstance(found, str) else ""
