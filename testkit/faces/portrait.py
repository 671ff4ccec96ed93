"""Animates a still portrait: a stream of frames with known ground truth.

    python -m testkit.faces.portrait --image face.jpg --actions blink,turn_left --out frames.mjpeg

The portrait's own FaceMesh is turned, bent and drawn back over the picture; eyes close under painted
lids. Sides of the head that the portrait does not show cannot be drawn: turns beyond about 30 degrees
smear the cheek.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np

from core.face_mesh import FaceMesh
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import MeshFace, RgbImage
from testkit import clips
from testkit.faces.expressions import ACTIONS, Action, Expression, GroundTruth, timeline
from testkit.faces.eyelids import Eyelid
from testkit.faces.rig import LEFT_EYE, RIGHT_EYE, FaceRig
from testkit.faces.warp import Floats, Indices, rasterise, sample, sampling_places, soften_seams

__all__ = ["ACTIONS", "Action", "Expression", "GroundTruth", "Portrait", "framed", "perform"]

_MODEL = Path(__file__).resolve().parents[2] / "var" / "models" / "face_landmarker.task"
_CAVITY_COLOUR = (0.24, 0.11, 0.1)
"""Colour of an open mouth, as shares of the face's brightness."""
_SMILES_ALREADY = 0.3
_FACE_SHARE = 0.45
"""Height of the face in a framed picture, as a share of the picture's."""
_ELSEWHERE = -1e6
"""A source place outside any picture, so that the edge of the mouth counts as a seam."""


class Portrait:
    """One picture of one face. Raises ValueError where the mesh finds none.

    Rendering keeps no state: one portrait can be rendered by several threads.
    """

    def __init__(self, rgb: RgbImage, mesh: FaceMesh) -> None:
        face = _largest_face(rgb, mesh)
        self._rgb = rgb
        self._rig = FaceRig(face.points)
        self._lids = [Eyelid(rgb, *(face.points[list(lid), :2] for lid in eye)) for eye in (RIGHT_EYE, LEFT_EYE)]
        self._cavity_colour = _brightness(rgb, face) * np.array(_CAVITY_COLOUR)
        self.smile = face.smile
        """The portrait's own smile by the FaceMesh, 0..1."""

    @property
    def relaxed(self) -> Expression:
        """The expression that cancels the portrait's own smile, so that it can smile on request."""
        return Expression(smile=-self.smile) if self.smile > _SMILES_ALREADY else Expression()

    def render(self, expression: Expression) -> RgbImage:
        """Draw the picture with another expression, in the same size; the neutral one gives the portrait itself."""
        source = self._rgb.copy()
        for lid in self._lids:
            lid.paint(source, expression.blink)
        if replace(expression, blink=0.0) == Expression():
            return source
        return self._warped(source, expression)

    def _warped(self, source: RgbImage, expression: Expression) -> RgbImage:
        rest, posed = self._rig.rest, self._rig.posed(expression)
        triangles, cavity = self._painting_order(posed)
        covered = rasterise(posed[:, :2], triangles, (source.shape[0], source.shape[1]))
        places = sampling_places(covered, rest[:, :2], posed[:, :2], triangles)
        image = sample(source, places)
        mouth = (covered >= cavity.start) & (covered < cavity.stop)
        image[mouth] = self._cavity_colour
        places[mouth] = _ELSEWHERE
        return soften_seams(image, places)

    def _painting_order(self, posed: Floats) -> tuple[Indices, range]:
        """All triangles from back to front, and the range of them that is the open mouth."""
        parts = self._rig.triangles
        around, teeth, skin = (_far_to_near(part, posed) for part in (parts.surroundings, parts.teeth, parts.skin))
        order = np.vstack([around, parts.cavity, teeth, skin])
        return order, range(len(around), len(around) + len(parts.cavity))


def perform(
    portrait: Portrait, actions: Sequence[Action], fps: float = 10.0, *, sway: bool = True
) -> Iterator[tuple[RgbImage, GroundTruth]]:
    """Frames of the portrait at rest and doing what is asked, in order.

    A portrait that smiles already is relaxed throughout a performance that contains a smile.
    Raises ValueError, before the first frame, for an unknown action or a rate that is not positive.
    """
    records = timeline(actions, fps, sway=sway)
    relaxed = portrait.relaxed if "smile" in actions else Expression()
    return ((portrait.render(_shown(record.expression, relaxed)), record) for record in records)


def _shown(expression: Expression, relaxed: Expression) -> Expression:
    return expression + relaxed * (1.0 - expression.smile)


def framed(rgb: RgbImage, mesh: FaceMesh, size: tuple[int, int] = (640, 480)) -> RgbImage:
    """The picture as a webcam frames it: (width, height) pixels, the face in the middle and of usual size."""
    points = _largest_face(rgb, mesh).points[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    zoom = size[1] * _FACE_SHARE / float(high[1] - low[1])
    shift = np.array(size) / 2 - (low + high) / 2 * zoom
    transform = np.array([[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]])
    method = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
    return np.asarray(cv2.warpAffine(rgb, transform, size, flags=method, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _largest_face(rgb: RgbImage, mesh: FaceMesh) -> MeshFace:
    faces = mesh.process(rgb)
    if not faces:
        raise ValueError("no face in the picture")
    return faces[0]


def _brightness(rgb: RgbImage, face: MeshFace) -> float:
    columns, rows = np.clip(face.points[:, :2].T, 0, None).astype(int)
    inside = (rows < rgb.shape[0]) & (columns < rgb.shape[1])
    return float(np.median(rgb[rows[inside], columns[inside]].mean(axis=1)))


def _far_to_near(triangles: Indices, posed: Floats) -> Indices:
    return triangles[np.argsort(-posed[triangles, 2].mean(axis=1), kind="stable")]


def _write_directory(frames: Iterable[tuple[RgbImage, GroundTruth]], directory: Path, quality: int) -> int:
    """Write numbered JPEG files, and truth.jsonl with one line per frame; returns the number of frames."""
    directory.mkdir(parents=True, exist_ok=True)
    count = 0
    with (directory / "truth.jsonl").open("w") as truths:
        for rgb, truth in frames:
            (directory / f"{truth.index:05d}.jpg").write_bytes(clips.encode_jpeg(rgb, quality))
            truths.write(json.dumps(asdict(truth)) + "\n")
            count += 1
    return count


def _write_mjpeg(frames: Iterable[tuple[RgbImage, GroundTruth]], path: Path, quality: int) -> int:
    """Write JPEG files one after another into one file; returns the number of frames."""
    count = 0
    with path.open("wb") as file:
        for rgb, _ in frames:
            file.write(clips.encode_jpeg(rgb, quality))
            count += 1
    return count


def _read_portrait(name: str) -> RgbImage:
    packaged = {"astronaut": clips.astronaut, "grace_hopper": clips.grace_hopper}
    return packaged[name]() if name in packaged else clips.read_image(Path(name))


def _parse_actions(text: str) -> list[Action]:
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in ACTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(ACTIONS)}")
    return [action for name in names for action in ACTIONS if action == name]


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"not WIDTHxHEIGHT: {text}")
    return int(width), int(height)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testkit.faces.portrait", description="Make a still portrait move.")
    parser.add_argument("--image", default="astronaut", help="a picture file, or astronaut, or grace_hopper")
    parser.add_argument(
        "--actions", type=_parse_actions, default=[], help=f"separated by commas: {', '.join(ACTIONS)}; none: at rest"
    )
    parser.add_argument("--fps", type=float, default=10.0, help="default 10; Chromium plays an .mjpeg file at 30")
    parser.add_argument("--out", type=Path, required=True, help="FILE.mjpeg, or a directory for JPEG files")
    parser.add_argument("--size", type=_parse_size, help="frame the face like a webcam, as in 640x480")
    parser.add_argument("--no-sway", action="store_true", help="hold the head perfectly still between actions")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG files, default 90")
    parser.add_argument("--model", type=Path, default=_MODEL, help="FaceLandmarker model file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    mesh = MediaPipeFaceMesh(options.model)
    try:
        rgb = _read_portrait(options.image)
        portrait = Portrait(framed(rgb, mesh, options.size) if options.size else rgb, mesh)
        frames = perform(portrait, options.actions, options.fps, sway=not options.no_sway)
        write = _write_mjpeg if options.out.suffix in {".mjpeg", ".mjpg"} else _write_directory
        print(f"{write(frames, options.out, options.quality)} frames in {options.out}")
    except (OSError, ValueError) as problem:
        print(f"portrait: {problem}", file=sys.stderr)
        return 1
    finally:
        mesh.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
