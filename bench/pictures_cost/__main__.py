"""CPU time of decoding a corpus of mutated and hand-made pictures, relative to ordinary ones.

    python -m bench.pictures_cost [--count 200000] [--seed 1] [--json]

Each picture goes through the service's own header check and decoder, in a separate process that is replaced when it
crashes. An accepted picture is compared with an ordinary one of the same kind and number of pixels, but at least
640x480: smaller ones are always cheap. Ends with 1 when one costs more than 20 times as much, or a process crashed.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

import cv2
import numpy as np

from bench.cli import report_parser, show
from bench.load.tables import table
from bench.pictures_cost.corpus import SIZES, ordinary, picture
from core.errors import ImageError
from core.imaging.frames import ImageLimits, decode_image, read_header

BAR = 20.0
"""Allowed cost of an accepted picture, as a multiple of an ordinary one of its size."""
KINDS = {"JPEG": 0, "progressive JPEG": 3, "PNG": 5, "WebP": 7, "lossless WebP": 8}
"""Number of the encoder of each kind."""
_LIMITS = ImageLimits(max_bytes=10 << 20, max_pixels=25_000_000)
_DOUBTFUL = 5.0
"""Ratio above which a picture is measured twice more: other load may have disturbed the first time."""
_WORST = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture's cost. `code` of the refusal, empty for an accepted picture; only that has `kind` and `pixels`."""

    number: int
    size: int
    code: str
    ms: float
    kind: str = ""
    pixels: int = 0
    ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    pictures: int
    accepted: int
    refused: dict[str, int]
    crashed: list[int]
    """Numbers of the pictures that crashed a process."""
    worst: list[Sample]
    """The samples with the highest ratios."""
    slowest: Sample | None
    slowest_refusal: Sample | None
    ordinary_ms: dict[str, float]
    """CPU time of an ordinary picture of 640x480, by kind."""
    peak_mb: float
    """Peak memory of the decoding process, including the corpus, in 10^6 bytes."""

    @property
    def holds(self) -> bool:
        return not self.crashed and all(sample.ratio <= BAR for sample in self.worst)


class Ordinary:
    """CPU time of ordinary pictures by kind: measured at two sizes, interpolated between and scaled beyond them."""

    def __init__(self) -> None:
        sizes = SIZES[-2:]
        self._pixels = [width * height for width, height in sizes]
        self._ms = {
            kind: [min(_decode(ordinary(encoder, size))[0] for _ in range(5)) for size in sizes]
            for kind, encoder in KINDS.items()
        }

    def ms(self, kind: str, pixels: int) -> float:
        beyond = max(1.0, pixels / self._pixels[-1])
        return float(np.interp(pixels, self._pixels, self._ms[kind])) * beyond


def kind_of(data: bytes, header_kind: str) -> str:
    if header_kind == "JPEG":
        return "progressive JPEG" if b"\xff\xc2\0" in data[:100_000] else "JPEG"
    if header_kind == "WEBP":
        return "lossless WebP" if b"VP8L" in data[:100_000] else "WebP"
    return header_kind


def _decode(data: bytes) -> tuple[float, str, str, int]:
    """Decode a picture; returns CPU milliseconds, the code of a refusal, kind and number of pixels."""
    began = time.process_time()
    try:
        header = read_header(data, _LIMITS)
        decode_image(data, header)
    except ImageError as error:
        return 1000 * (time.process_time() - began), error.code, "", 0
    ms = 1000 * (time.process_time() - began)
    return ms, "", kind_of(data, header.kind), header.size[0] * header.size[1]


def measure(number: int, seed: int, ordinary_pictures: Ordinary) -> Sample:
    data = picture(number, seed)
    ms, code, kind, pixels = _decode(data)
    if code:
        return Sample(number, len(data), code, ms)
    usual = ordinary_pictures.ms(kind, pixels)
    if ms > _DOUBTFUL * usual:
        ms = min(ms, _decode(data)[0], _decode(data)[0])
    return Sample(number, len(data), code, ms, kind, pixels, ms / usual)


def _child(start: int, stop: int, seed: int, answers: Connection) -> None:
    cv2.setNumThreads(1)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - libjpeg reports each damage on stderr
        os.dup2(nothing.fileno(), 2)
    ordinary_pictures = Ordinary()
    answers.send({kind: ordinary_pictures.ms(kind, 640 * 480) for kind in KINDS})
    for number in range(start, stop):
        sample = measure(number, seed, ordinary_pictures)
        answers.send((sample, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))
    answers.close()


class Run:
    """Decodes a corpus in one process after the other."""

    def __init__(self, count: int, seed: int, child: Callable[[int, int, int, Connection], None] = _child) -> None:
        self._count = count
        self._seed = seed
        self._child = child
        self._crashed: list[int] = []
        self._ordinary_ms: dict[str, float] = {}
        self._peak_mb = 0.0

    def report(self) -> Report:
        refused: Counter[str] = Counter()
        worst: list[Sample] = []
        slowest: Sample | None = None
        slowest_refusal: Sample | None = None
        for sample in self._samples():
            if sample.code:
                refused[sample.code] += 1
                slowest_refusal = _slower(slowest_refusal, sample)
            else:
                slowest = _slower(slowest, sample)
                worst = sorted([*worst, sample], key=lambda one: -one.ratio)[:_WORST]
        accepted = self._count - sum(refused.values()) - len(self._crashed)
        return Report(
            self._count,
            accepted,
            dict(refused.most_common()),
            self._crashed,
            worst,
            slowest,
            slowest_refusal,
            self._ordinary_ms,
            self._peak_mb,
        )

    def _samples(self) -> Iterator[Sample]:
        from bench.pad.observe import show_progress  # Slow to load, and unused in the decoding process.

        done = 0
        while done < self._count:
            for sample in self._until_it_dies(done):
                done += 1
                yield sample
                if done % 200 == 0 or done == self._count:
                    show_progress(done, self._count, "pictures")
            if done < self._count:
                self._crashed.append(done)
                done += 1

    def _until_it_dies(self, start: int) -> Iterator[Sample]:
        context = get_context("spawn")
        answers, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._child, args=(start, self._count, self._seed, theirs))
        process.start()
        theirs.close()
        try:
            self._ordinary_ms = answers.recv()
            for _ in range(start, self._count):
                sample, peak_mb = answers.recv()
                self._peak_mb = max(self._peak_mb, peak_mb)
                yield sample
        except EOFError:
            pass
        finally:
            process.join()


def _slower(before: Sample | None, sample: Sample) -> Sample:
    return sample if before is None or sample.ms > before.ms else before


def text(report: Report) -> str:
    codes = [[code, str(count)] for code, count in report.refused.items()]
    counts = table(
        ["", "pictures"],
        [
            ["all", str(report.pictures)],
            ["accepted", str(report.accepted)],
            *codes,
            ["took the process down", str(len(report.crashed))],
        ],
    )
    usual = table(["ordinary, 640x480", "CPU ms"], [[kind, f"{ms:.2f}"] for kind, ms in report.ordinary_ms.items()])
    rows = [("worst ratio", sample) for sample in report.worst]
    rows += [("slowest", report.slowest)] if report.slowest else []
    rows += [("slowest refusal", report.slowest_refusal)] if report.slowest_refusal else []
    extremes = table(
        ["", "number", "kind", "megapixels", "kB", "CPU ms", "ratio"],
        [
            [
                what,
                str(sample.number),
                sample.kind or sample.code,
                f"{sample.pixels / 1e6:.2f}" if sample.pixels else "-",
                f"{sample.size / 1000:.0f}",
                f"{sample.ms:.1f}",
                f"{sample.ratio:.1f}" if sample.ratio else "-",
            ]
            for what, sample in rows
        ],
    )
    verdict = "holds" if report.holds else "DOES NOT HOLD"
    return f"{counts}\n\n{usual}\n\n{extremes}\n\npeak memory {report.peak_mb:.0f} MB; the bar of {BAR:g} {verdict}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("pictures_cost", "What pictures may cost.")
    parser.add_argument("--count", type=int, default=20_000, help="pictures (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the corpus (%(default)s)")
    options = parser.parse_args(arguments)
    report = Run(options.count, options.seed).report()
    show(report, text, as_json=options.json)
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
