"""Where a dispatcher reads what was dispatched before it."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from connectors.errors import TopicMismatch
from connectors.ports import Record, TopicReader
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError
from streams.application import Application
from streams.conversations.memory import SourcePlace, source_place
from streams.dispatcher.service import Past
from streams.wire.records import HeldConversation, decode, read_decision

ANSWERS_READ: Final = 50_000  # of a partition, at least: more never lies between two commits of positions


class DispatcherPast:
    """Callable with partitions. Raises ConnectorError."""

    def __init__(self, wiring: Wiring, app: Application, group: str, epochs: Mapping[str, str]) -> None:
        assert app.conversations is not None
        self._wiring, self._app, self._group, self._epochs = wiring, app, group, epochs
        self._window = app.conversations.window_records

    def __call__(self, partitions: Collection[int]) -> dict[int, Past]:
        """What stands of these."""
        app, admin = self._app, self._wiring.admin()
        try:
            positions = {
                topic: admin.committed(self._group, topic) for topic in (app.decisions_topic, app.changes_topic)
            }
            changes = admin.readable_offsets(app.changes_topic)
            answers = admin.readable_offsets(app.answers_topic)
        except TopicMismatch as error:
            raise ConfigError(f"{error}: `headrace up` makes what is missing") from error
        finally:
            admin.close()
        past = {partition: Past() for partition in partitions}
        for partition, one in past.items():
            end = changes.get(partition, (0, 0))[1]
            if positions[app.changes_topic].get(partition, 0) < end:
                one.changes_end = end
        self._read_held(past)
        count = max(ANSWERS_READ, self._window)
        starts = {partition: max(first, last - count) for partition, (first, last) in answers.items()}
        for record in all_records(self._wiring, app.answers_topic, starts):
            self._read_answer(past, record, positions)
        self._read_decisions(past, positions[app.decisions_topic])
        return past

    def _read_held(self, past: Mapping[int, Past]) -> None:
        for record in all_records(self._wiring, self._app.conversations_topic):
            if record.partition not in past:
                continue
            held = past[record.partition].held
            if record.value is None:
                held.pop((record.key or b"").decode("utf-8", "replace"), None)
                continue
            try:
                one = decode(HeldConversation, record.value)
            except MessageError:
                continue  # written by a stranger
            held[one.id] = one

    def _read_answer(
        self, past: Mapping[int, Past], record: Record, positions: Mapping[str, Mapping[int, int]]
    ) -> None:
        """Kept where what it is about may come again, or lies in the window."""
        answer = _answer(record)
        place = None if answer is None else source_place(str(answer.get("place")))
        if answer is None or place is None or not self._is_of_now(place):
            return
        topic, partition = place.partition
        reach = self._window if topic == self._app.decisions_topic else 0
        if partition in past and place.offset >= positions[topic].get(partition, 0) - reach:
            past[partition].sent.add(str(answer.get("id")))

    def _is_of_now(self, place: SourcePlace) -> bool:
        topic = place.partition[0]
        return topic in (self._app.decisions_topic, self._app.changes_topic) and place.epoch == self._epochs.get(topic)

    def _read_decisions(self, past: Mapping[int, Past], positions: Mapping[int, int]) -> None:
        ends = {partition: positions.get(partition, 0) for partition in past}
        starts = {partition: max(end - self._window, 0) for partition, end in ends.items()}
        reader: TopicReader = self._wiring.reader()
        try:
            for record in reader.read(self._app.decisions_topic, starts, ends, list(past)):
                try:
                    decision = read_decision(record.value)
                except MessageError:
                    continue
                past[record.partition].decisions.append((record.offset, decision))
        finally:
            reader.close()


def _answer(record: Record) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None
