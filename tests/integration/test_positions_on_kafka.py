"""Positions of groups, moved and refused by the command as a user types it, on a real Kafka."""

import json
from pathlib import Path

import pytest
from harness import Headrace, MakeHome, wait_for
from kafka import KafkaAdminClient, TopicPartition

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka


def application(home: Headrace, name: str, topic: str) -> str:
    path = home.home / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\ntopic = "{topic}"\npartitions = 1\n[[heads]]\nname = "intent"\ncolumn = "intent"\n'
    )
    return str(path)


def send(address: str, topic: str, records: int) -> None:
    publisher = KafkaPublisher(address)
    for number in range(records):
        publisher.send(topic, json.dumps({"text": f"where is my order {number}"}).encode())
    publisher.flush()
    publisher.close()


def cut(address: str, topic: str, before: int) -> None:
    client = KafkaAdminClient(bootstrap_servers=address)
    client.delete_records({TopicPartition(topic, 0): before})
    client.close()


def test_a_reset_of_an_indexer_moves_its_own_position_and_not_the_workers(
    make_home: MakeHome, kafka_address: str, unique: str
) -> None:
    """S-A7, D-B1: the printed advice, followed with an indexer, moved the worker's group to the end: twelve events
    were never decided, and the indexer failed with the same advice."""
    home, admin = make_home(f"kafka://{kafka_address}"), KafkaAdmin(kafka_address)
    toml, source, decisions = application(home, unique, f"{unique}.texts"), f"{unique}.texts", f"decisions.{unique}"
    admin.ensure([TopicSpec(source, 1), TopicSpec(decisions, 1)])
    admin.commit(f"headrace-worker-{unique}", source, {0: 0})
    admin.commit(f"headrace-indexer-{unique}", decisions, {0: 2})
    send(kafka_address, source, 12)
    send(kafka_address, decisions, 8)
    cut(kafka_address, decisions, 5)
    refused = home.run("indexer", toml)
    assert refused.returncode == 1
    doctor = home.run("doctor", toml)
    assert doctor.returncode == 1 and f"FAIL group headrace-indexer-{unique}" in doctor.stdout
    assert f"ok   group headrace-worker-{unique}: 0 running members, 12 records to go" in doctor.stdout
    advice = refused.stderr.strip().splitlines()[-1]
    assert f"{decisions}[0] offset 2, but the log begins at 5" in advice and "--reset-position end" in advice
    indexer = home.start("indexer", toml, "--reset-position", "end", name="indexer")
    indexer.wait_ready()
    assert f"headrace-indexer-{unique}: {decisions}[0] moved from 2 to 8" in indexer.text()
    assert admin.committed(f"headrace-indexer-{unique}", decisions) == {0: 8}
    assert admin.committed(f"headrace-worker-{unique}", source) == {0: 0}, "the worker's events would be skipped"
    while_running = home.run("indexer", toml, "--reset-position", "beginning")
    assert while_running.returncode == 1
    assert "1 running member" in while_running.stderr and "Traceback" not in while_running.stderr
    assert indexer.stop() == 0
    admin.close()


def test_a_topic_that_was_made_again_while_nothing_ran_is_noticed_though_the_old_position_lies_in_it(
    make_home: MakeHome, kafka_address: str, unique: str
) -> None:
    """The position was read on in the new topic, and what stood before it was skipped without a word."""
    home, admin = make_home(f"kafka://{kafka_address}"), KafkaAdmin(kafka_address)
    toml, decisions = application(home, unique, f"{unique}.texts"), f"decisions.{unique}"
    group = f"headrace-indexer-{unique}"
    admin.ensure([TopicSpec(decisions, 1)])
    send(kafka_address, decisions, 3)
    indexer = home.start("indexer", toml, name="indexer")
    wait_for(lambda: admin.committed(group, decisions) == {0: 3}, 180, indexer.text)
    assert indexer.stop() == 0
    assert admin.positions(group, decisions)[0].epoch == admin.describe([decisions])[decisions].epoch
    admin.delete([decisions])
    wait_for(lambda: decisions not in admin.describe([decisions]), 120)
    admin.ensure([TopicSpec(decisions, 1)])
    send(kafka_address, decisions, 5)
    admin.commit(group, decisions, {0: 3}, epoch="0a0a0a0a")  # Kafka forgets a removed topic's positions, not at once
    refused = home.run("indexer", toml)
    assert refused.returncode == 1 and "of an older topic of that name" in refused.stderr
    again = home.start("indexer", toml, "--reset-position", "beginning", name="again")
    wait_for(lambda: admin.committed(group, decisions) == {0: 5}, 180, again.text)
    assert "moved from 3 to 0" in again.text()
    assert again.stop() == 0
    admin.close()


def test_a_mistyped_source_topic_is_an_error_with_the_names_near_it_and_no_new_topic(
    make_home: MakeHome, kafka_address: str, unique: str
) -> None:
    """S-A11: it became a new empty topic, and the worker idled quietly."""
    home, admin = make_home(f"kafka://{kafka_address}"), KafkaAdmin(kafka_address)
    admin.ensure([TopicSpec(f"{unique}.texts", 1)])
    done = home.run("worker", application(home, unique, f"{unique}.text"))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert f"there is no topic {unique}.text," in line
    assert f"did you mean {unique}.texts" in line  # other tests' topics may be near enough to come after it
    assert "--create-topics" in line
    assert f"{unique}.text" not in admin.names()
    admin.close()


def test_a_topic_name_that_kafka_does_not_take_is_one_short_line(make_home: MakeHome, kafka_address: str) -> None:
    """F-21: 600 characters of CreateTopicsRequest."""
    home = make_home(f"kafka://{kafka_address}")
    for path, arguments in (
        (application(home, "dot", "."), ["--create-topics"]),
        (application(home, "dots", ".."), []),
    ):
        done = home.run("worker", path, *arguments)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()[-1]) < 200, done.stderr
        assert "Request" not in done.stderr and "Traceback" not in done.stderr


def test_topics_need_two_in_step_where_there_are_three_and_dead_letters_are_kept(
    make_home: MakeHome, kafka_address: str, unique: str, tmp_path: Path
) -> None:
    """S-A11, D-B10: dead letters went after Kafka's week; replicas of a topic are the broker's default."""
    home, admin = make_home(f"kafka://{kafka_address}"), KafkaAdmin(kafka_address)
    indexer = home.start("indexer", application(home, unique, f"{unique}.texts"), name="indexer")
    indexer.wait_ready()
    assert indexer.stop() == 0
    config = admin.configs(["deadletters"])["deadletters"]
    assert (config["retention.ms"], config["max.message.bytes"]) == (str(90 * 86_400_000), "2097152")
    assert f"{unique}.texts" not in admin.names(), "a source topic is made only when asked for"
    admin.close()
