"""Backups: one encrypted file with everything that cannot be made anew, and how it is put back."""
