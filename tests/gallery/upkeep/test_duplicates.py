"""Pairs of subjects with one face, found across a gallery."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.embedders import MODEL_ID_DIGITS
from core.features.embedder.profile import PINNED
from gallery import people
from gallery.matching import Gallery
from gallery.upkeep import duplicates
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, face, picture, samples
from tests.gallery.workers import gallery_of

ANYBODY = replace(RULES, duplicate_check=False)


def enrol_crowd(tenant: Tenant, gallery: Gallery) -> None:
    """Seven people with two templates each, two of them under two names."""
    for seed in range(7):
        pictures = samples(face(seed), picture(face(seed), 0.8, seed))
        enroll(tenant, f"p{seed}", pictures, gallery, ANYBODY, f"Person {seed}")
    for seed in (2, 5):
        enroll(tenant, f"q{seed}", samples(picture(face(seed), 0.7, 50 + seed)), gallery, ANYBODY)
    people.create_subject(tenant, "nobody", {})


@pytest.mark.usefixtures("each_database")
def test_each_pair_is_found_once_with_names_similarity_and_progress(
    tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol_crowd(tenant, gallery)
    monkeypatch.setattr(duplicates, "PAGE", 3)
    steps: list[tuple[int, int]] = []
    searched = duplicates.begin(tenant)
    pairs = duplicates.find(
        tenant, gallery, RULES.target_fpir, lambda done, total: steps.append((done, total)), searched
    )
    found = list(pairs)
    assert [pair.subjects for pair in found] == [("p2", "q2"), ("p5", "q5")]
    assert found[0].display_names == ("Person 2", "")
    assert all(pair.similarity == pytest.approx(0.7, abs=0.15) and pair.similarity > pair.threshold for pair in found)
    assert steps == [(done, 10) for done in range(1, 11)]


def run(*options: str) -> list[str]:
    out = io.StringIO()
    call_command("find_duplicates", *options, stdout=out)
    return out.getvalue().splitlines()


def test_the_command_prints_pairs_with_names_and_stops_at_its_limit(tenant: Tenant, tmp_path: Path) -> None:
    enrol_crowd(tenant, gallery_of(tmp_path, model=PINNED.sha256[:MODEL_ID_DIGITS]))
    first, second = (json.loads(line) for line in run("--tenant", "acme", "--json"))
    assert first["subjects"] == ["p2", "q2"]
    assert first["display_names"] == ["Person 2", ""]
    assert first["similarity"] >= first["threshold"]
    assert second["subjects"] == ["p5", "q5"]
    pair, _, total = run("--tenant", "acme")
    assert pair == f"{first['similarity']:.7f}  p2 (Person 2)  q2"
    assert total.startswith("2 pairs among 10 subjects")
    assert run("--tenant", "acme", "--limit", "1")[-1] == "stopped at 1 pairs"


def test_the_command_names_what_it_cannot_do(tenant: Tenant) -> None:
    for options in (("--tenant", "nobody"), ("--tenant", "acme", "--limit", "0")):
        with pytest.raises(CommandError, match=r"nobody|--limit"):
            run(*options)
