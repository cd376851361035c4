"""What no retry mends ends the process with the reason, within a stated time: injected on a real Kafka."""

import json
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, MakeHome, Running, wait_for
from kafka import KafkaAdminClient, TopicPartition
from real_services import start_or_skip

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.local_services import services
from connectors.local_services.process import free_ports
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka

STUCK_SECONDS = 20
App = tuple[Headrace, str, str]  # its home, its file and its name
EXIT_SECONDS = 30.0  # stated: a look each second, two of them, and an end


class Worker:
    """A worker of an application whose topic and positions are its own to ruin, with its health at hand."""

    def __init__(self, app: App, command: str = "worker", stuck_seconds: int = STUCK_SECONDS) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.home, self.app, name = app
        self.address = self.home.broker.removeprefix("kafka://")
        self.topic, self.group, self.decisions = f"{name}.chats", f"headrace-worker-{name}", f"decisions.{name}"
        self.home.extra |= {
            "HEADRACE_METRICS_PORT": str(port),
            "HEADRACE_STUCK_SECONDS": str(stuck_seconds),
            "HEADRACE_STOP_SECONDS": "6",
        }
        self.running: Running = self.home.start(command, self.app)
        self.running.wait_ready()
        wait_for(lambda: self.health("ready")[0] == 200, 120, self.running.text)

    def health(self, kind: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.url}/health/{kind}", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError as error:
            return 0, {"reasons": [str(error)]}

    def send(self, texts: int, partition_key: bytes = b"k") -> None:
        publisher = KafkaPublisher(self.address)
        for number in range(texts):
            publisher.send(self.topic, json.dumps({"text": f"where is my order {number}"}).encode(), partition_key)
        publisher.flush()
        publisher.close()

    def committed(self) -> int:
        admin = KafkaAdmin(self.address)
        try:
            return sum(admin.committed(self.group, self.topic).values())
        finally:
            admin.close()

    def decide(self, texts: int) -> None:
        """Send and wait until the position has moved past them."""
        before = self.committed()
        self.send(texts)
        wait_for(lambda: self.committed() >= before + texts, 120, self.running.text)

    def leaves_saying(self, *words: str, seconds: float = EXIT_SECONDS) -> str:
        """It ends by itself with code 1 within `seconds`; the last line of its log holds one of these. Returns it."""
        begun = time.monotonic()
        wait_for(lambda: self.running.process.poll() is not None, seconds, self.running.text)
        took = time.monotonic() - begun
        text = self.running.text()
        assert self.running.process.returncode == 1, text[-2000:]
        errors = [line for line in text.splitlines() if " ERROR " in line]
        assert errors and any(word in errors[-1] for word in words), text[-2000:]
        assert "Traceback" not in text
        print(f"left after {took:.1f} s: {errors[-1]}")
        return errors[-1]


def test_a_topic_that_is_removed_ends_the_worker_with_its_name(app: App) -> None:
    worker = Worker(app)
    worker.decide(5)
    admin = KafkaAdmin(worker.address)
    admin.delete([worker.topic])
    admin.close()
    assert worker.topic in worker.leaves_saying("is gone")


def test_a_topic_that_is_made_again_ends_the_worker_before_it_reads_the_new_one(app: App) -> None:
    worker = Worker(app)
    worker.decide(5)
    admin = KafkaAdmin(worker.address)
    admin.delete([worker.topic])
    wait_for(lambda: worker.topic not in admin.describe([worker.topic]), 120)
    admin.ensure([TopicSpec(worker.topic, 4, 1)])
    decided = sum(end for _, end in admin.offsets(worker.decisions).values())
    worker.send(3)
    line = worker.leaves_saying("made again", "is gone")
    assert worker.topic in line
    assert sum(end for _, end in admin.offsets(worker.decisions).values()) == decided, (
        "read on in a log that is not ours"
    )
    admin.close()


def test_a_partition_that_was_cut_before_it_was_read_is_held_loudly_while_the_others_go_on(app: App) -> None:
    """S-A14: one cut partition ended the worker, and the next owner after it; all others stood."""
    worker = Worker(app)
    worker.decide(5)
    admin = KafkaAdmin(worker.address)
    (partition,) = (p for p, (_, end) in admin.offsets(worker.topic).items() if end)
    before = admin.committed(worker.group, worker.topic)[partition]
    worker.running.process.send_signal(signal.SIGSTOP)  # shorter than the session, so that it keeps its partitions
    worker.send(1)  # answers the fetch that waits at the broker, so that the next ones stay there
    worker.send(50)
    end = admin.offsets(worker.topic)[partition][1]
    client = KafkaAdminClient(bootstrap_servers=worker.address)
    client.delete_records({TopicPartition(worker.topic, partition): end - 10})
    client.close()
    worker.running.process.send_signal(signal.SIGCONT)
    wait_for(lambda: worker.health("ready")[0] == 503, EXIT_SECONDS, worker.running.text)
    reasons = str(worker.health("ready")[1]["reasons"])
    assert (
        f"{worker.topic}[{partition}] no longer has what stands at position" in reasons
        and "--reset-position" in reasons
    )
    others = {p for p in admin.offsets(worker.topic) if p != partition}
    keys = (str(number).encode() for number in range(1_000))
    while not all(admin.offsets(worker.topic)[p][1] for p in others):
        worker.send(1, next(keys))
    ends = {p: bounds[1] for p, bounds in admin.offsets(worker.topic).items() if p in others}
    wait_for(
        lambda: {p: admin.committed(worker.group, worker.topic)[p] for p in others} == ends, 120, worker.running.text
    )
    assert worker.health("live")[0] == 200
    assert before <= admin.committed(worker.group, worker.topic)[partition] <= before + 1, (
        "what is gone was not stepped over"
    )
    assert worker.running.text().count("ERROR") == 1, worker.running.text()
    assert worker.running.stop() == 0
    again = worker.home.start("worker", worker.app, "--reset-position", "beginning", name="again")
    log_end = admin.offsets(worker.topic)[partition][1]
    wait_for(lambda: admin.committed(worker.group, worker.topic)[partition] == log_end, 180, again.text)
    assert f"{worker.topic}[{partition}] moved from" in again.text()
    assert again.stop() == 0
    admin.close()


@pytest.mark.slow  # the run of every change keeps to twenty minutes
def test_a_broker_that_never_comes_back_ends_an_idle_worker(
    services_folder: Callable[[str], Path], make_home: MakeHome
) -> None:
    folder = services_folder("broker-gone")
    started = start_or_skip(folder, kafka=True, elasticsearch=False)
    worker = Worker((make_home(f"kafka://{started.kafka}"), "support", "support"))
    services.stop(folder)
    worker.leaves_saying(
        "broker has not answered",
        "Kafka client gave up",
        "broker did not confirm",
        seconds=STUCK_SECONDS + EXIT_SECONDS,
    )


@pytest.mark.slow  # the run of every change keeps to twenty minutes
def test_another_cluster_at_the_same_address_ends_all_roles_with_both_ids(
    services_folder: Callable[[str], Path], make_home: MakeHome
) -> None:
    folder = services_folder("cluster-replaced")
    started = start_or_skip(folder, kafka=True, elasticsearch=False)
    home = make_home(f"kafka://{started.kafka}")
    worker = Worker((home, "support", "support"), "up", stuck_seconds=30)  # a look that hangs must not count first
    worker.decide(5)
    worker.running.process.send_signal(signal.SIGSTOP)
    services.stop(folder)
    for data in folder.glob("kafka-1/data-*"):
        shutil.rmtree(data)
    layout = next(folder.glob("kafka-1/layout.json"))
    layout.write_text(json.dumps(json.loads(layout.read_text()) | {"cluster_id": ""}))
    again = start_or_skip(folder, kafka=True, elasticsearch=False)
    assert again.kafka == started.kafka
    worker.running.process.send_signal(signal.SIGCONT)
    worker.leaves_saying("another Kafka cluster", seconds=30 + EXIT_SECONDS)
    services.stop(folder)


HOOK = """
import importlib.abc, importlib.util, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "headrace.process.runtime":
            return None
        sys.meta_path.remove(self)
        inject()
        return importlib.util.find_spec(name)

sys.meta_path.insert(0, Finder())
"""
BLOCKED_LOOP = """
def inject():
    import time
    from streams.faust_runtime.role import Role

    def acknowledge(self, deliveries):
        time.sleep(3600)

    Role._acknowledged = acknowledge
"""
DEAF_CONSUMER = """
def inject():
    import asyncio
    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

    async def getmany(self, active_partitions, timeout):
        await asyncio.sleep(timeout)
        return {}

    AIOKafkaConsumerThread.getmany = getmany
"""


def injected(app: App, folder: Path, fault: str) -> App:
    """The application in a home whose processes have a fault put into them before the roles start."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(fault + HOOK)
    app[0].extra["PYTHONPATH"] = str(folder)
    return app


def test_an_event_loop_that_stands_still_ends_the_process_with_the_stacks(app: App, tmp_path: Path) -> None:
    """A blocking call on the loop, as a user's code or a library may make."""
    worker = Worker(injected(app, tmp_path / "hook", BLOCKED_LOOP))
    worker.send(1)
    wait_for(lambda: worker.running.process.poll() is not None, STUCK_SECONDS + EXIT_SECONDS, worker.running.text)
    text = worker.running.text()
    assert worker.running.process.returncode == 1
    assert "event loop has stood still" in text and "in acknowledge" in text


def test_a_consumer_that_silently_hears_nothing_ends_with_topic_partition_and_positions(
    app: App, tmp_path: Path
) -> None:
    """The oldest trouble of Faust: assigned, healthy, logging nothing, reading nothing."""
    worker = Worker(injected(app, tmp_path / "hook", DEAF_CONSUMER))
    worker.send(1)
    line = worker.leaves_saying(f"stuck at {worker.topic}[", seconds=STUCK_SECONDS + EXIT_SECONDS)
    assert "position" in line and "nothing moved for" in line


def test_a_bad_deploy_does_not_drain_a_topic_into_the_dead_letters(app: App) -> None:
    worker = Worker(app)
    before = worker.committed()
    publisher = KafkaPublisher(worker.address)
    for _ in range(3_000):
        publisher.send(worker.topic, b"{broken", b"k")
    publisher.flush()
    publisher.close()
    line = worker.leaves_saying("could not be decided")
    assert "mostly not_json" in line and "max_dead_letter_share = 0.5" in line
    assert worker.committed() - before < 100
