"""What the service must know of an embedding network that is to replace the pinned one (FACE_EMBEDDER).

    python -m bench.embedder NETWORK.onnx [--write] [--every N] [--json]

An ArcFace-style network: (1, 3, 112, 112), BGR, scaled to -1..1, to vectors of 512 numbers. Its
thresholds are measured on all pairs of Labeled Faces in the Wild, folds 1 to 4; with --write they are put beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.cli import has_clips, report_parser, show
from bench.lfw import IMAGES, LIMITS, person_of, picture_names
from bench.pad.observe import load_engine
from bench.verification.progress import Progress
from core.face_recognition_engine import FaceRecognitionEngine
from core.features.embedder.false_matches import TooFewPairs, measure, tail_shape
from core.features.embedder.network import Embedder
from core.features.embedder.profile import EmbedderProfile, write_profile
from core.types import EMBEDDING_LENGTH
from testkit.clips import encode_jpeg, read_image
from testkit.faces.covers import KINDS, draw
from weights.catalogue import digest_of

_ANOTHER_PERSON = 0.05
"""Share of impostors that are more similar than `another_person`."""
_LEAST_LENGTH = 0.9
"""Of the shortest vector of a thousand good pictures."""
_LEAST_FOR_SHAPE = 1_000_000
"""Pairs; with fewer the tail is taken to be exponential, which needs more similarity."""
_COVER_EVERY = 4

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shown:
    """One face: its person, and the network's vector as it is."""

    person: str
    vector: Floats
    covered: bool


def shown(engine: FaceRecognitionEngine, embedder: Embedder, images: Path, names: Sequence[str]) -> Iterator[Shown]:
    """Every good picture, and some with a cover drawn over it."""
    progress, kinds = Progress(len(names), "pictures"), list(KINDS)
    for number, name in enumerate(names):
        view = engine.analyse_still((images / name).read_bytes(), LIMITS)
        progress.step()
        if view.aligned is None or view.quality.issues:
            continue
        person = person_of(name)
        yield Shown(person, embedder.vector(view.aligned.crop), covered=False)
        if number % _COVER_EVERY == 0:
            rgb, kind = read_image(images / name), kinds[number // _COVER_EVERY % len(kinds)]
            covered = draw(kind, rgb, view.faces[0], np.random.default_rng(number))
            seen = engine.analyse_still(encode_jpeg(covered, 90), LIMITS)
            if seen.aligned is not None:
                yield Shown(person, embedder.vector(seen.aligned.crop), covered=True)


class TooFewFaces(Exception):
    """The message says what to do."""


def profile_of(sha256: str, faces: Sequence[Shown]) -> EmbedderProfile:
    """Raises TooFewFaces."""
    plain = [face for face in faces if not face.covered]
    impostors = _impostors(plain, plain)
    shape = round(tail_shape(impostors), 3) if len(impostors) >= _LEAST_FOR_SHAPE else 0.0
    try:
        found = measure(impostors, shape)
    except TooFewPairs as error:
        raise TooFewFaces(
            f"{len(plain)} good pictures are too few to measure rates: choose a smaller --every"
        ) from error
    covered = _impostors([face for face in faces if face.covered], plain)
    rises = [
        float(np.quantile(covered, 1 - rate)) - limit for rate, limit in zip(found.fmr, found.similarity, strict=True)
    ]
    lengths = [float(np.linalg.norm(face.vector)) for face in plain]
    return EmbedderProfile(
        sha256,
        found.fmr,
        found.similarity,
        tail_shape=shape,
        tail_scale=found.tail_scale,
        another_person=round(float(np.quantile(impostors, 1 - _ANOTHER_PERSON)), 3),
        covered_rise=round(max(0.0, *rises), 3),
        least_length=round(_LEAST_LENGTH * float(np.quantile(lengths, 0.001)), 3),
    )


def _impostors(some: Sequence[Shown], others: Sequence[Shown]) -> Floats:
    """Similarities of all faces of one group with those of other people in the other."""
    similar = _unit(some) @ _unit(others).T
    people = np.array([face.person for face in some])[:, None] != np.array([face.person for face in others])
    if some is others:
        people &= np.triu(np.ones_like(people), 1)
    return np.asarray(similar[people])


def _unit(faces: Sequence[Shown]) -> Floats:
    vectors = np.array([face.vector for face in faces], np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def table(profile: EmbedderProfile) -> str:
    lines = [f"{rate:8.0e}  {limit:6.3f}" for rate, limit in zip(profile.fmr, profile.similarity, strict=True)]
    return "\n".join(
        [
            "     FMR  needs",
            *lines,
            f"beyond, a generalised Pareto tail: shape {profile.tail_shape}, scale {profile.tail_scale}",
            f"another person below {profile.another_person}",
            f"covered faces need {profile.covered_rise} more",
            f"vectors of nobody are shorter than {profile.least_length}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("embedder", "Measures an embedding network that is to replace the pinned one.")
    parser.add_argument("network", type=Path, help="the ONNX file")
    parser.add_argument("--write", action="store_true", help="write the profile beside the network")
    parser.add_argument("--every", type=int, default=1, help="take every Nth picture (%(default)s)")
    options = parser.parse_args(arguments)
    if not has_clips("embedder"):
        return 2
    names = picture_names()
    engine = load_engine()
    try:
        faces = [*shown(engine, Embedder.load(options.network), IMAGES, names[:: options.every])]
    finally:
        engine.close()
    if faces[0].vector.size != EMBEDDING_LENGTH:
        print(
            f"embedder: templates have {EMBEDDING_LENGTH} numbers, its vectors {faces[0].vector.size}",
            file=sys.stderr,
        )
        return 2
    try:
        profile = profile_of(digest_of(options.network), faces)
    except TooFewFaces as error:
        print(f"embedder: {error}", file=sys.stderr)
        return 2
    show(profile, table, as_json=options.json)
    if options.write:
        write_profile(options.network, profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
