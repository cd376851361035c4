"""Catalogues' topics: whether items are withdrawn there by their own ids. Under a key of a shop's own a withdrawal is
known as long as its record stands, and a tombstone says of no item that it is gone."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from connectors.ports import Record
from connectors.table_files import Row, read_rows
from headrace.terminal import some_of
from headrace.tools.doctor.findings import Check, Finding
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import MessageError
from streams.application import Application
from streams.recommend.catalogue_changes import Gone, read_as, said_by

NEWEST: Final = 5_000  # records of each partition that are looked at
_SHOWN: Final = 3


def catalogue_checks(wiring: Wiring, apps: Sequence[Application]) -> list[Check]:
    """One for each application that follows a catalogue."""
    return [
        Check(f"catalogue {app.name}", partial(_findings, wiring, app))
        for app in apps
        if app.recommend.catalog_topic is not None
    ]


def catalogue_finding(app: str, records: Iterable[Record], in_file: Collection[str]) -> Finding:
    """records: the topic's newest. in_file: ids of the items in the catalogue's file."""
    known, tombstones, elsewhere, count = set(in_file), list[bytes](), list[str](), 0
    for record in records:
        count += 1
        if record.value is None:
            tombstones.append(record.key or b"")
            continue
        try:
            said = said_by(record.key, record.value)
        except MessageError:
            continue  # a worker's log says where it stands
        known |= said.keys()
        elsewhere += [item for item, gone in said.items() if gone is Gone.ELSEWHERE]
    strange = [key.decode("utf-8", "replace") for key in tombstones if known.isdisjoint(read_as(key))]
    told = []
    if elsewhere:
        told.append(
            f"{len(elsewhere)} withdraw items under keys that are not theirs ({some_of(elsewhere, _SHOWN)}), which "
            f"counts as long as these records stand"
        )
    if strange:
        told.append(
            f"{len(strange)} are tombstones under keys that are no id of an item known here "
            f"({some_of(strange, _SHOWN)}), which leave an item of the file `catalog` in lists"
        )
    if not told:
        return Finding(f"catalogue {app}", True, f"the newest {count} records withdraw items by their own ids, or none")
    return Finding(
        f"catalogue {app}", True, f"of the newest {count} records {'; '.join(told)}: key the topic by the item's id"
    )


def _findings(wiring: Wiring, app: Application) -> Iterator[Finding]:
    topic = app.recommend.catalog_topic
    assert topic is not None
    admin = wiring.admin()
    try:
        there = admin.describe([topic])
        bounds = admin.readable_offsets(topic) if there else {}
    finally:
        admin.close()
    if not there:
        return  # the topic's own line says so
    starts = {partition: max(first, end - NEWEST) for partition, (first, end) in bounds.items()}
    rows = read_rows(app.catalog) if app.catalog is not None else ()
    in_file = {str(row.fields.get("item_id")) for row in rows if isinstance(row, Row)}
    yield catalogue_finding(app.name, all_records(wiring, topic, starts), in_file)
