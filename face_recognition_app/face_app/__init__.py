"""The Django project: wiring only."""

import os

# Before numpy and OpenCV are loaded: a frame has its thread already, and theirs would only take turns on its cores.
for _variable in ("OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[_variable] = os.environ.get(_variable) or "1"
