"""Where reports lie: beside what was imported, or in the data directory where nobody may write there."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from config.settings import Settings
from jobs.run import Run
from recognition.background.imports.places import ImportFolder
from recognition.background.imports.progress import Progress
from recognition.background.imports.report import Report

IN_DATA_DIR = "import-reports"


def report_of(run: Run, root: ImportFolder, source: str, progress: Progress, settings: Settings) -> Report:
    """The report of this run, with what is true of those before. Keeps in the checkpoint where it is."""
    if not progress.report:
        place = root.place(PurePosixPath(source))
        folder = place.parent if os.access(place.parent, os.W_OK) else settings.data_dir / IN_DATA_DIR / root.path.name
        folder.mkdir(parents=True, exist_ok=True)
        progress.report = str(folder / f"{place.name}.import-{run.job_pk}.csv")
    report, before = Report(Path(progress.report), run.number), Path(progress.part) if progress.part else None
    report.begin(before, progress.written)
    progress.part, progress.written = str(report.part), report.written
    run.checkpoint = progress.as_json()
    run.save()
    if before is not None and before != report.part:
        before.unlink(missing_ok=True)
    return report


def shown_as(path: Path, root: ImportFolder, settings: Settings) -> str:
    """The report's path as it is told to whoever asked for the import: nothing of how the machine is set up."""
    if path.is_relative_to(root.path):
        return path.relative_to(root.path).as_posix()
    return f"FACE_DATA_DIR/{path.relative_to(settings.data_dir).as_posix()}"
