#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
    from django.core.management import execute_from_command_line

    from audit.actor import current, of_command
    from config.settings import SettingsError

    current.set(of_command(" ".join(sys.argv[1:2])))
    try:
        execute_from_command_line(sys.argv)
    except SettingsError as error:
        sys.exit(f"configuration error: {error}")


if __name__ == "__main__":
    main()
