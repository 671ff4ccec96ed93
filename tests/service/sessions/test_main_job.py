"""The main job as a user meets it: the real script, real sockets, real faces."""

from __future__ import annotations

import asyncio
import json

import jwt
import pytest

from testkit.clips import GRID_CLIPS, SHARED_DATA, GridClip
from testkit.service import LiveService
from testkit.stream_client import SessionKind
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, erase_everyone, jpegs, run, run_to_the_end

pytestmark = needs_shared_data

SPEAKERS = [clip for clip in GRID_CLIPS if clip.name != "id2_vcd_swwp2s"]
STRANGERS = [clip for clip in SPEAKERS if clip.name != "pwij3p"]


@pytest.fixture(scope="module")
def enrolled(live_service: LiveService) -> LiveService:
    erase_everyone(live_service)
    done = asyncio.run(run_to_the_end(live_service, "enrollment", jpegs(clip("pwij3p")), "pwij3p"))
    assert done["success"]
    assert done["subject_id"] == "pwij3p"
    return live_service


async def test_the_enrolled_person_is_authenticated_in_another_clip(enrolled: LiveService) -> None:
    done = await run_to_the_end(enrolled, "authentication", jpegs(clip("id2_vcd_swwp2s")), "pwij3p")
    assert done["success"]
    assert done["liveness"] == "passed"


async def test_the_enrolled_person_is_identified_in_another_clip(enrolled: LiveService) -> None:
    done = await run_to_the_end(enrolled, "identification", jpegs(clip("id2_vcd_swwp2s")))
    assert done["subject_id"] == "pwij3p"


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.name)
async def test_a_stranger_is_refused(enrolled: LiveService, stranger: GridClip) -> None:
    asked: list[tuple[SessionKind, str | None]] = [("authentication", "pwij3p"), ("identification", None)]
    for kind, subject_id in asked:
        done = await run_to_the_end(enrolled, kind, jpegs(stranger), subject_id)
        assert not done["success"]
        assert done["subject_id"] is None
        assert done["reason"] == "no_match"


async def test_the_decision_token_proves_the_decision(enrolled: LiveService) -> None:
    done = await run_to_the_end(enrolled, "authentication", jpegs(clip("id2_vcd_swwp2s")), "pwij3p")
    keys = jwt.PyJWKSet.from_dict(enrolled.get("/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(done["decision_token"])["kid"]
    claims = jwt.decode(done["decision_token"], keys[kid], ["EdDSA"], audience="face-service-decision")
    assert claims["outcome"] == "success"
    assert claims["subject"] == "pwij3p"
    assert claims["liveness"] == "passed"
    assert set(claims) >= {"session", "nonce", "models", "iat", "exp"}


async def test_the_same_face_cannot_enrol_twice(enrolled: LiveService) -> None:
    done = await run_to_the_end(enrolled, "enrollment", jpegs(clip("id2_vcd_swwp2s")), "somebody-else")
    assert not done["success"]
    assert done["reason"] == "duplicate_face"
    assert enrolled.get("/api/v1/subjects/somebody-else/").status_code == 404


async def test_another_face_cannot_enrol_over_a_subject(enrolled: LiveService) -> None:
    done = await run_to_the_end(enrolled, "enrollment", jpegs(clip("lbax4n")), "pwij3p")
    assert done["reason"] == "subject_exists"


async def test_nothing_that_a_browser_sees_carries_a_score(enrolled: LiveService) -> None:
    _, result = await run(enrolled, "authentication", jpegs(clip("id2_vcd_swwp2s")), "pwij3p")
    told = json.dumps(result.messages)
    assert "similarity" not in told
    assert "threshold" not in told


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
async def test_the_second_half_of_a_clip_recognises_the_first(live_service: LiveService, speaker: GridClip) -> None:
    erase_everyone(live_service)
    first = await run_to_the_end(live_service, "enrollment", jpegs(speaker, 0, 38), speaker.name)
    assert first["success"]
    asked: list[tuple[SessionKind, str | None]] = [("authentication", speaker.name), ("identification", None)]
    for kind, subject_id in asked:
        second = await run_to_the_end(live_service, kind, jpegs(speaker, 38, 75), subject_id)
        assert second["success"]
        assert second["subject_id"] == speaker.name


async def test_a_presented_photo_is_refused(live_service: LiveService) -> None:
    photo = (SHARED_DATA / "spoof" / "image_F1.jpg").read_bytes()
    done = await run_to_the_end(live_service, "identification", [photo] * 60)
    assert not done["success"]
    assert done["reason"] == "spoof_suspected"
