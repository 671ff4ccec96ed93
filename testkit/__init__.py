"""Shared by tests, demonstrations and benchmarks: real faces, faces that move on command, a small client.

Run as `python -m testkit.NAME` from the repository, these modules find the deployed packages (`core`) by themselves.
"""

import sys
from pathlib import Path

_DEPLOYED = str(Path(__file__).resolve().parents[1] / "face_recognition_app")
if _DEPLOYED not in sys.path:
    sys.path.append(_DEPLOYED)
