"""Enrols a face over REST and finds it again; ends with 1 if it does not.

python -m tools.replay.smoke URL KEY
"""

from __future__ import annotations

import sys

from testkit import loopback
from testkit.clips import astronaut, encode_jpeg


def main(url: str, key: str) -> int:
    picture = encode_jpeg(astronaut())
    with loopback.blocking_client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        enrolled = client.post("/api/v1/subjects/astronaut/templates/", files={"images": ("a.jpg", picture)})
        found = client.post("/api/v1/faces/search/", files={"image": ("a.jpg", picture)})
    print(f"smoke: {enrolled.status_code} {enrolled.text[:120]}\nsmoke: {found.status_code} {found.text[:120]}")
    return 0 if enrolled.status_code == 201 and found.json()["matches"][0]["subject_id"] == "astronaut" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
