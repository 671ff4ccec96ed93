from __future__ import annotations

import threading
from pathlib import Path

from config.processes.locks import exclusive
from tests.processes import living

HOLDER = """
import sys
from pathlib import Path
from config.processes.locks import exclusive

with exclusive(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_waits_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    entered = threading.Event()

    def enter() -> None:
        with exclusive(path):
            entered.set()

    with living(HOLDER, path) as holder:
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2)
        holder.kill()
        assert entered.wait(10)
        waiting.join()
