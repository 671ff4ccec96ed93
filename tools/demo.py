"""Demonstrates the service without a camera: an animated portrait enrols and is recognised, a stranger is not.

Needs a running service with the demo tenant, and the development dependencies (./run_tests.sh installs them).
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np

from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import RgbImage
from testkit.attacks.stage.camera import Camera
from testkit.clips import astronaut, encode_jpeg, grace_hopper
from testkit.faces.expressions import Action
from testkit.faces.portrait import Portrait, framed, perform
from testkit.stream_client import Message, ServiceClient, SessionKind, play

REPOSITORY = Path(__file__).resolve().parents[1]
FRAMES_PER_SECOND = 10.0


async def main(base_url: str, api_key: str) -> None:
    mesh = MediaPipeFaceMesh(REPOSITORY / "var" / "models" / "face_landmarker.task")
    try:
        people = {name: Portrait(framed(rgb, mesh), mesh) for name, rgb in _pictures().items()}
    finally:
        mesh.close()
    async with ServiceClient(base_url, api_key) as client:
        await _session(client, people["astronaut"], "the astronaut enrols", "enrollment", "astronaut")
        await _session(client, people["astronaut"], "the astronaut says who she is", "authentication", "astronaut")
        await _session(client, people["hopper"], "another person claims to be her", "authentication", "astronaut")
        await _session(client, people["hopper"], "who is this other person?", "identification", None)


async def _session(
    client: ServiceClient, person: Portrait, title: str, kind: SessionKind, subject_id: str | None
) -> None:
    print(f"\n{title} ({kind}, active liveness)")
    created = await client.create_session(kind, subject_id, "active")
    assert created.challenge is not None
    actions: list[Action] = [step["action"] for step in created.challenge["steps"]]
    print(f"  the service asks for: {', '.join(actions)}")
    # The camera adds noise: rendering repeats the same pixels, and the service refuses repeated pictures.
    sensor, camera = np.random.default_rng(), Camera()
    performed = perform(person, actions, FRAMES_PER_SECOND)
    frames = [encode_jpeg(camera.capture(frame, sensor)) for frame, _ in performed]
    said: list[str] = []

    def listen(message: Message) -> None:
        guidance = message.get("guidance")
        if guidance is not None and guidance["message"] not in said[-1:]:
            said.append(guidance["message"])
            print(f"  frame {message['seq']:3}: {guidance['message']}")

    result = await play(created.websocket_url, frames, fps=FRAMES_PER_SECOND, on_message=listen)
    done = result.completed
    if done is None:
        print("  no decision")
    else:
        verdict = "yes" if done["success"] else f"no ({done['reason']})"
        print(f"  decision: {verdict}, subject {done['subject_id']}, liveness {done['liveness']}")


def _pictures() -> dict[str, RgbImage]:
    return {"astronaut": astronaut(), "hopper": grace_hopper()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8003", help="where the service is (%(default)s)")
    parser.add_argument("--key-file", type=Path, default=REPOSITORY / "var" / "demo-api-key", help="API key")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.key_file.read_text().strip()))
