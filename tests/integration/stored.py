"""What stands in a home's store, without a process for each look: those are a second of a processor."""

from typing import Any

from harness import Headrace

from connectors.errors import StoreUnavailable
from connectors.ports import SearchQuery
from headrace.settings import Settings
from headrace.wiring import Wiring


def stored(home: Headrace, app: str) -> list[dict[str, Any]]:
    """Up to a thousand decisions of an application; none where the store cannot tell yet: an index that is being made
    has no shard for a moment."""
    url = home.extra.get("HEADRACE_STORE") or home.store
    store = Wiring(Settings(home=home.home, store=url)).store()
    try:
        return list(store.search(SearchQuery(app=app, limit=1_000)).documents)
    except StoreUnavailable:
        return []
    finally:
        store.close()
