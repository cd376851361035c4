"""A role as a process of its own on an embedded broker that another process runs, which the product itself keeps to one
process: what is on trial is a role that dies while the topics live.

Processes are forked from one that has imported all that roles need: on a busy machine a start is mostly imports."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.faults.scene.processes import HeadraceProcess
from connectors.local_services.process import free_ports

STOP_SECONDS: Final = 300.0  # how long a stop takes is not on trial here, and the machine may be slow
PRELOADED: Final = [
    "bench.kills.roles.role",
    "headrace.cli",
    "headrace.process.builder",
    "headrace.process.runtime",
    "headrace.process.health",
    "headrace.process.monitor_sources",
    "headrace.process.notifier_sources",
    "headrace.dispatched_before",
    "headrace.training.retrain_job",
    "headrace.training.from_file",
    "streams.dispatcher.service",
    "streams.faust_runtime.embedded_transport",
    "streams.monitor.service",
    "streams.notifier.service",
    "streams.recommend.handler",
    "connectors.sqlite_store",
    "onnxruntime",
    "sklearn.linear_model",
    "scipy.stats",
]


class RoleProcess(HeadraceProcess):
    """`headrace ROLE APP ...`, forked."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, in_one_order: Collection[str] = ()
    ) -> None:
        """in_one_order: topics of one partition, on a broker that gives each topic several."""
        super().__init__(arguments[0], arguments, environment, folder, instance=f"bench-{arguments[0]}")
        self._arguments, self._in_one_order = list(arguments), frozenset(in_one_order)

    def start(self) -> None:
        """Start it; its log goes on where it was."""
        self._port = free_ports(1)[0]
        environment = {**self._environment, "HEADRACE_METRICS_PORT": str(self._port)}
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        own = self._arguments, environment, self._folder, self.log, self._in_one_order
        process = context.Process(target=play, args=own)
        process.start()
        self._process = _Forked(process)  # type: ignore[assignment]  # as much of a Popen as is asked for
        self.is_wanted = True

    def stop(self) -> int:
        """SIGTERM, and wait. Returns the exit code."""
        self.ask_to_stop()
        return self.wait(STOP_SECONDS + 60.0)


class _Forked:
    """What `subprocess.Popen` is asked for, of a forked process."""

    def __init__(self, process: "multiprocessing.context.ForkServerProcess") -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"{self._process.name} is still there")
        return self._process.exitcode


def play(
    arguments: list[str], environment: dict[str, str], folder: Path, log: Path, in_one_order: Collection[str]
) -> None:
    """Be `headrace ROLE APP ...`, and join the broker of HEADRACE_HOME."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with log.open("ab", buffering=0) as out:
        out.write(b"--- start\n")
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    from headrace import cli
    from headrace.commands import roles
    from headrace.wiring import Wiring

    roles.ALL_ROLES = (arguments[0],)  # type: ignore[assignment]  # else: all roles, in one process
    Wiring.start_embedded_broker = Wiring.broker  # type: ignore[method-assign]
    keep_one_order(in_one_order)
    sys.argv = ["headrace", *arguments]
    cli.main()


def keep_one_order(topics: Collection[str]) -> None:
    """Have this process write to the first partition of these topics: of one, as on Kafka, where the embedded broker
    gives several. A monitor that starts again reads its signals in the order in which they came."""
    from streams.faust_runtime.producer import Producer

    choose = Producer._partitioner

    async def in_one_order(producer: Producer, topic: str) -> Callable[[bytes | None], int]:
        return (lambda key: 0) if topic in topics else await choose(producer, topic)

    Producer._partitioner = in_one_order  # type: ignore[method-assign, assignment]
