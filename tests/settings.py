"""The service's settings with a data directory of the test run's own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_data_dir = tempfile.mkdtemp(prefix="face-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
os.environ["FACE_DATA_DIR"] = _data_dir
os.environ.setdefault("FACE_MESH_POOL_SIZE", "2")

from face_app.settings import *  # noqa: E402, F403
from face_app.settings import DATABASES, FACE  # noqa: E402

if not FACE.database_url:
    # A file, because every thread has a connection of its own; closed after use, so that none is left open.
    DATABASES["default"]["TEST"] = {"NAME": f"{_data_dir}/test.sqlite3"}
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["mode"] = "rwc"
