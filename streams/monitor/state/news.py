"""What is known of a feed of news, as records of `monitor.state` of their own: they are larger than all else."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from connectors.ports import Record
from streams.engine.delivery import OutRecord
from streams.monitor.core import MonitorCore
from streams.monitor.sources import MonitorSources, SignalsLog, is_transient
from streams.monitor.trends.news import News
from streams.topics import MONITOR_STATE_TOPIC
from streams.wire.signals import read_signals

log = logging.getLogger(__name__)

MAX_BYTES: Final = 1_000_000  # with its frame below 1,048,588, which a broker takes whose limits nobody has changed


def news_key(app: str) -> bytes:
    """Of the record; no application's name has a slash in it."""
    return f"{app}/stories".encode()


def trends_key(app: str) -> bytes:
    """Of the record of open windows."""
    return f"{app}/trends".encode()


def news_records(core: MonitorCore, epoch: str) -> list[OutRecord]:
    """The state as it is now, but what is too large; in their order: windows may stand after their stories, not before
    them. epoch: of the signals topic."""
    if core.news is None:
        return []
    values = {
        trends_key(core.app.name): core.news.encode_trends(epoch),
        news_key(core.app.name): core.news.encode(epoch),
    }
    for key, value in values.items():
        if len(value) > MAX_BYTES:
            core.lose("news", f"{key.decode()} takes {len(value):,} bytes and is not kept: {MAX_BYTES:,} can be")
    return [OutRecord(MONITOR_STATE_TOPIC, key, value) for key, value in values.items() if len(value) <= MAX_BYTES]


def restore_news(
    core: MonitorCore,
    sources: MonitorSources,
    signals: SignalsLog,
    starts: Mapping[int, int],
    read: Callable[[Mapping[int, int], Mapping[int, int]], Iterable[Record]],
) -> None:
    """Have a core go on with the stories that were kept, and bring them up to `starts`: the offsets of signals from
    which on the core takes them in. Where nothing can be used they begin there. read: gives the signals from offsets
    up to others. Raises retriable errors."""
    if core.news is None:
        return
    core.news.next_offsets = dict(starts)
    value = sources.kept(news_key(core.app.name)) if sources.keeps_snapshots else None
    if value is None:
        return
    news = News(core.app)
    try:
        news.restore(value, signals.epoch)
        if any(offset > signals.bounds.get(p, (0, 0))[1] for p, offset in news.next_offsets.items()):
            raise ValueError(f"it stands at {news.next_offsets}, beyond the end of the signals")
    except Exception as error:  # whatever is wrong with it, the signals go on
        if is_transient(error):
            raise
        core.lose("news", f"cannot be used and begins anew: {type(error).__name__}: {error}")
        return
    core.news = _with_windows(core, news, sources, signals.epoch)
    news = core.news
    oldest = {p: first for p, (first, _) in signals.bounds.items()}
    behind = {p: max(news.next_offsets.get(p, start), oldest.get(p, 0)) for p, start in starts.items()}
    if any(offset < starts[p] for p, offset in behind.items()):
        ends = {p: max(starts[p], offset) for p, offset in behind.items()}
        for record in read(behind, ends):
            take_in(news, record)


def _with_windows(core: MonitorCore, news: News, sources: MonitorSources, epoch: str) -> News:
    """With the windows that were kept; they begin anew where those cannot be used."""
    value = sources.kept(trends_key(core.app.name))
    if value is not None:
        before = news.encode(epoch)
        try:
            news.restore_trends(value, epoch)
        except Exception as error:
            if is_transient(error):
                raise
            core.lose("news", f"of windows cannot be used and begins anew: {type(error).__name__}: {error}")
            news = News(core.app)
            news.restore(before, epoch)
    return news


def take_in(news: News, record: Record) -> None:
    """A record of signals for the stories alone; all of that was told."""
    for signal in read_signals(record.value).signals:
        if signal.failed is None:
            news.take(signal, (record.partition, record.offset), record.timestamp_ms)
    news.passed((record.partition, record.offset))
    news.clear()
