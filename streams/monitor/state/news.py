"""What is known of a feed of news, as a record of `monitor.state` of its own: it is larger than all else."""

import logging
from collections.abc import Mapping
from typing import Final

from connectors.ports import Record
from streams.monitor.core import MonitorCore
from streams.monitor.sources import MonitorSources, SignalsLog, is_transient
from streams.monitor.trends.news import News
from streams.wire.signals import read_signals

log = logging.getLogger(__name__)

MAX_BYTES: Final = 1_000_000  # with its frame below 1,048,588, which a broker takes whose limits nobody has changed


def news_key(app: str) -> bytes:
    """Of the record; no application's name has a slash in it."""
    return f"{app}/stories".encode()


def encode_news(core: MonitorCore, epoch: str) -> bytes | None:
    """The state as it is now; None where there is none, or it is too large. epoch: of the signals topic."""
    if core.news is None:
        return None
    value = core.news.encode(epoch)
    if len(value) > MAX_BYTES:
        core.lose("news", f"takes {len(value):,} bytes and is not kept: {MAX_BYTES:,} can be")
        return None
    return value


def restore_news(core: MonitorCore, sources: MonitorSources, signals: SignalsLog, starts: Mapping[int, int]) -> None:
    """Have a core go on with the stories that were kept, and bring them up to `starts`: the offsets of signals from
    which on the core takes them in. Where nothing can be used they begin there. Raises retriable errors."""
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
    core.news = news
    oldest = {p: first for p, (first, _) in signals.bounds.items()}
    behind = {p: max(news.next_offsets.get(p, start), oldest.get(p, 0)) for p, start in starts.items()}
    if any(offset < starts[p] for p, offset in behind.items()):
        ends = {p: max(starts[p], offset) for p, offset in behind.items()}
        for record in sources.read(core.app.signals_topic, behind, ends):
            take_in(news, record)


def take_in(news: News, record: Record) -> None:
    """A record of signals for the stories alone; all of that was told."""
    for signal in read_signals(record.value).signals:
        if signal.failed is None:
            news.take(signal, (record.partition, record.offset), record.timestamp_ms)
    news.passed((record.partition, record.offset))
    news.told.clear()
