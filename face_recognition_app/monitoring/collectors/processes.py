"""What each live worker takes of the machine, and what the machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.processes import usage
from config.processes.memory import memory_bytes, private_bytes, proportional_bytes
from config.sizing.machine import this_machine
from monitoring.worker_stats import read_live_workers

Measure = Callable[[int], float]
GAUGES: tuple[tuple[str, str, Measure], ...] = (
    ("face_worker_memory_bytes", "In memory, shared pages included.", memory_bytes),
    ("face_worker_private_bytes", "In memory and shared with nobody; mapped files are not in it.", private_bytes),
    ("face_worker_proportional_bytes", "In memory, each shared page divided among its users.", proportional_bytes),
    ("face_worker_threads", "Threads.", usage.threads),
    ("face_worker_open_files", "Open files and sockets.", usage.open_files),
)


class ProcessCollector(Collector):
    """One that ends meanwhile is left out."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def collect(self) -> Iterator[Metric]:
        pids = [worker.pid for worker in read_live_workers(self._run_dir)]
        for name, meaning, measure in GAUGES:
            gauge = GaugeMetricFamily(name, meaning, labels=["pid"])
            for pid, value in _measured(pids, measure):
                gauge.add_metric([f"{pid}"], value)
            yield gauge
        cpu = CounterMetricFamily("face_worker_cpu_seconds", "CPU time.", labels=["pid"])
        for pid, value in _measured(pids, usage.cpu_seconds):
            cpu.add_metric([f"{pid}"], value)
        yield cpu
        machine = this_machine()
        yield GaugeMetricFamily("face_machine_cores", "Cores that the service may use.", machine.cores)
        yield GaugeMetricFamily(
            "face_machine_memory_bytes", "Memory that the service may use.", machine.installed_bytes
        )
        yield GaugeMetricFamily(
            "face_machine_memory_available_bytes", "Memory that nobody needs now.", machine.memory_bytes
        )


def _measured(pids: list[int], measure: Measure) -> Iterator[tuple[int, float]]:
    for pid in pids:
        try:
            yield pid, measure(pid)
        except OSError:
            continue
