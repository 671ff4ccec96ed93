"""Errors of backups. Their messages say what to do.

BackupError
├── NoKey            no key was given, or it is unusable
├── UnreadableFile   the file is no backup, was changed or cut, or the key is another one
└── NotRestored      the backup does not fit this installation; nothing was changed
"""

from __future__ import annotations


class BackupError(Exception):
    pass


class NoKey(BackupError):
    pass


class UnreadableFile(BackupError):
    pass


class NotRestored(BackupError):
    pass
