"""What no retry mends ends the process with the reason, within a stated time: injected on a real Kafka."""

import json
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import MakeHome, Running, wait_for
from kafka import KafkaAdminClient, TopicPartition
from real_services import start_or_skip

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.local_services import services
from connectors.local_services.process import free_ports
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka

TOPIC = "support.chats"
GROUP = "headrace-worker-support"
STUCK_SECONDS = 20
EXIT_SECONDS = 30.0  # stated: a look each second, two of them, and an end


@pytest.fixture
def own_kafka(services_folder: Callable[[str], Path], unique: str) -> Iterator[str]:
    """A Kafka of the test's own: it ruins topics and positions that the next one must not find."""
    folder = services_folder(f"watchdog-{unique}")
    started = start_or_skip(folder, kafka=True, elasticsearch=False)
    assert started.kafka is not None
    yield started.kafka
    services.stop(folder)


class Worker:
    """A worker of `support`, with its health at hand."""

    def __init__(
        self,
        make_home: MakeHome,
        address: str,
        command: tuple[str, ...] = ("worker", "support"),
        stuck_seconds: int = STUCK_SECONDS,
    ) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.address = address
        self.home = make_home(
            f"kafka://{address}",
            HEADRACE_METRICS_PORT=str(port),
            HEADRACE_STUCK_SECONDS=str(stuck_seconds),
            HEADRACE_STOP_SECONDS="6",
        )
        self.running: Running = self.home.start(*command)
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
            publisher.send(TOPIC, json.dumps({"text": f"where is my order {number}"}).encode(), partition_key)
        publisher.flush()
        publisher.close()

    def committed(self) -> int:
        admin = KafkaAdmin(self.address)
        try:
            return sum(admin.committed(GROUP, TOPIC).values())
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


def test_a_topic_that_is_removed_ends_the_worker_with_its_name(make_home: MakeHome, own_kafka: str) -> None:
    worker = Worker(make_home, own_kafka)
    worker.decide(5)
    admin = KafkaAdmin(own_kafka)
    admin.delete([TOPIC])
    admin.close()
    assert TOPIC in worker.leaves_saying("is gone")


def test_a_topic_that_is_made_again_ends_the_worker_before_it_reads_the_new_one(
    make_home: MakeHome, own_kafka: str
) -> None:
    worker = Worker(make_home, own_kafka)
    worker.decide(5)
    admin = KafkaAdmin(own_kafka)
    admin.delete([TOPIC])
    wait_for(lambda: TOPIC not in admin.describe([TOPIC]), 120)
    admin.ensure([TopicSpec(TOPIC, 4, 1)])
    decided = sum(end for _, end in admin.offsets("decisions.support").values())
    worker.send(3)
    line = worker.leaves_saying("made again", "is gone")
    assert TOPIC in line
    assert sum(end for _, end in admin.offsets("decisions.support").values()) == decided, (
        "read on in a log that is not ours"
    )
    admin.close()


def test_a_partition_that_was_cut_before_it_was_read_is_held_loudly_while_the_others_go_on(
    make_home: MakeHome, own_kafka: str
) -> None:
    """S-A14: one cut partition ended the worker, and the next owner after it; all others stood."""
    worker = Worker(make_home, own_kafka)
    worker.decide(5)
    admin = KafkaAdmin(own_kafka)
    (partition,) = (p for p, (_, end) in admin.offsets(TOPIC).items() if end)
    before = admin.committed(GROUP, TOPIC)[partition]
    worker.running.process.send_signal(signal.SIGSTOP)  # shorter than the session, so that it keeps its partitions
    worker.send(1)  # answers the fetch that waits at the broker, so that the next ones stay there
    worker.send(50)
    end = admin.offsets(TOPIC)[partition][1]
    client = KafkaAdminClient(bootstrap_servers=own_kafka)
    client.delete_records({TopicPartition(TOPIC, partition): end - 10})
    client.close()
    worker.running.process.send_signal(signal.SIGCONT)
    wait_for(lambda: worker.health("ready")[0] == 503, EXIT_SECONDS, worker.running.text)
    reasons = str(worker.health("ready")[1]["reasons"])
    assert f"{TOPIC}[{partition}] no longer has what stands at position" in reasons and "--reset-position" in reasons
    others = {p for p in admin.offsets(TOPIC) if p != partition}
    keys = (str(number).encode() for number in range(1_000))
    while not all(admin.offsets(TOPIC)[p][1] for p in others):
        worker.send(1, next(keys))
    ends = {p: bounds[1] for p, bounds in admin.offsets(TOPIC).items() if p in others}
    wait_for(lambda: {p: admin.committed(GROUP, TOPIC)[p] for p in others} == ends, 120, worker.running.text)
    assert worker.health("live")[0] == 200
    assert before <= admin.committed(GROUP, TOPIC)[partition] <= before + 1, "what is gone was not stepped over"
    assert worker.running.text().count("ERROR") == 1, worker.running.text()
    assert worker.running.stop() == 0
    again = worker.home.start("worker", "support", "--reset-position", "beginning", name="again")
    log_end = admin.offsets(TOPIC)[partition][1]
    wait_for(lambda: admin.committed(GROUP, TOPIC)[partition] == log_end, 180, again.text)
    assert f"{TOPIC}[{partition}] moved from" in again.text()
    assert again.stop() == 0
    admin.close()


@pytest.mark.slow  # the run of every change keeps to twenty minutes
def test_a_broker_that_never_comes_back_ends_an_idle_worker(
    services_folder: Callable[[str], Path], make_home: MakeHome
) -> None:
    folder = services_folder("broker-gone")
    started = start_or_skip(folder, kafka=True, elasticsearch=False)
    worker = Worker(make_home, str(started.kafka))
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
    worker = Worker(
        make_home, str(started.kafka), ("up", "support"), stuck_seconds=30
    )  # a look that hangs must not count first
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


def injected(make_home: MakeHome, folder: Path, fault: str) -> MakeHome:
    """Homes whose processes have a fault put into them before the roles start."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(fault + HOOK)
    return lambda broker, **extra: make_home(broker, PYTHONPATH=str(folder), **extra)


def test_an_event_loop_that_stands_still_ends_the_process_with_the_stacks(
    make_home: MakeHome, own_kafka: str, tmp_path: Path
) -> None:
    """A blocking call on the loop, as a user's code or a library may make."""
    worker = Worker(injected(make_home, tmp_path / "hook", BLOCKED_LOOP), own_kafka)
    worker.send(1)
    wait_for(lambda: worker.running.process.poll() is not None, STUCK_SECONDS + EXIT_SECONDS, worker.running.text)
    text = worker.running.text()
    assert worker.running.process.returncode == 1
    assert "event loop has stood still" in text and "in acknowledge" in text


def test_a_consumer_that_silently_hears_nothing_ends_with_topic_partition_and_positions(
    make_home: MakeHome, own_kafka: str, tmp_path: Path
) -> None:
    """The oldest trouble of Faust: assigned, healthy, logging nothing, reading nothing."""
    worker = Worker(injected(make_home, tmp_path / "hook", DEAF_CONSUMER), own_kafka)
    worker.send(1)
    line = worker.leaves_saying("stuck at support.chats[", seconds=STUCK_SECONDS + EXIT_SECONDS)
    assert "position" in line and "nothing moved for" in line


def test_a_bad_deploy_does_not_drain_a_topic_into_the_dead_letters(make_home: MakeHome, own_kafka: str) -> None:
    worker = Worker(make_home, own_kafka)
    before = worker.committed()
    publisher = KafkaPublisher(own_kafka)
    for _ in range(3_000):
        publisher.send(TOPIC, b"{broken", b"k")
    publisher.flush()
    publisher.close()
    line = worker.leaves_saying("could not be decided")
    assert "mostly not_json" in line and "max_dead_letter_share = 0.5" in line
    assert worker.committed() - before < 100
