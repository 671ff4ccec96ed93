"""`usearch`, loaded so that OpenVINO still works.

The library carries a C++ runtime of its own. Loaded into a process without one, it becomes everybody's, and OpenVINO's
face mesh then finds no faces. The system's is loaded first.
"""

from __future__ import annotations

import ctypes

ctypes.CDLL("libstdc++.so.6", ctypes.RTLD_GLOBAL)

from usearch.index import Index as Hnsw  # noqa: E402

__all__ = ["Hnsw"]
