"""The Django project: wiring only."""

import os

# Must precede numpy and OpenCV: frames are parallel already, inner thread pools would only add contention.
for _variable in ("OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[_variable] = os.environ.get(_variable) or "1"
