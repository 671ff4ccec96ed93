"""Draws what the service computes for each liveness cue.

    python -m bench.cues [--out docs/pictures]

The real engine observes streams of the tuning people (bench.pad.observe), and the service's own cues and limits run
over the observations. The pictures show numbers and spectra, no faces.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cli import has_clips
from bench.cues.challenge_plot import draw_challenge
from bench.cues.light_plot import draw_light
from bench.cues.plots import draw_anti_spoof, draw_blink, draw_moire, draw_shoulders, draw_skin, draw_speech
from bench.cues.stream_plots import draw_continuity, draw_repetition
from bench.cues.style import STYLE
from bench.pad.observe import REPOSITORY, Part, Recording, Task, load, observe

FOLDER = REPOSITORY / "docs" / "pictures"


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing function and the streams that it draws; `size` in inches."""

    tasks: tuple[Task, ...]
    size: tuple[float, float]
    draw: Callable[[Any, Sequence[Recording]], None]


def _tasks(*streams: tuple[str, int], part: Part = "frames") -> tuple[Task, ...]:
    return tuple(Task("tuning", species, index, part) for species, index in streams)


PICTURES = {
    "anti_spoof": Picture(_tasks(("bona_fide", 0), ("print", 1), ("screen_still", 1)), (7.5, 3.2), draw_anti_spoof),
    "moire": Picture(_tasks(("bona_fide", 0), ("screen_still", 1)), (8.5, 3.2), draw_moire),
    "blink": Picture(_tasks(("bona_fide", 0), ("print", 1), ("warped_photo", 2)), (8.5, 3.8), draw_blink),
    "speech": Picture(_tasks(("bona_fide", 0), ("print", 2), ("warped_photo", 2)), (8.5, 2.8), draw_speech),
    "skin": Picture(
        _tasks(("bona_fide", 0), ("bona_fide", 2), ("warped_photo", 2), ("cutout", 2)), (8.0, 3.4), draw_skin
    ),
    "shoulders": Picture(_tasks(("bona_fide", 0), ("warped_photo", 2), ("puppet", 0)), (8.0, 3.4), draw_shoulders),
    "repetition": Picture(_tasks(("bona_fide", 3), ("loop", 3)), (8.5, 3.6), draw_repetition),
    "continuity": Picture(_tasks(("bona_fide", 0), ("frozen", 0), ("loop", 0)), (7.5, 2.2), draw_continuity),
    "challenge": Picture(
        _tasks(("bona_fide_active", 2), ("puppet_obeys", 0), part="takes"), (8.5, 6.2), draw_challenge
    ),
    "light": Picture(_tasks(("bona_fide", 3)), (8.5, 4.6), draw_light),
}
"""The pictures by file name."""


def write(folder: Path, recordings: Mapping[Task, Recording]) -> list[Path]:
    """Write the pictures as SVG files, with the same bytes for the same numbers."""
    from matplotlib import style  # Slow to load, and only needed here.
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.svg" for name in PICTURES}
    with style.context(["default", STYLE]):
        for name, picture in PICTURES.items():
            figure = Figure(figsize=picture.size, layout="constrained")
            picture.draw(figure, [recordings[task] for task in picture.tasks])
            figure.savefig(paths[name], metadata={"Date": None, "Creator": None})
    return list(paths.values())


def tasks() -> list[Task]:
    """The tasks of all pictures, each once."""
    return list(dict.fromkeys(task for picture in PICTURES.values() for task in picture.tasks))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cues", description="Pictures of the liveness cues.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder that they go to (%(default)s)")
    options = parser.parse_args(arguments)
    if not has_clips("cues"):
        return 2
    recordings = {task: load(path) for task, path in observe(tasks()).items()}
    for path in write(options.out, recordings):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
