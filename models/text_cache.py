"""Answers to texts that come again: a bounded cache for one release.

A decision is a function of release and text, so an answer may be given again as it is; keep one cache for each release.
"""

import threading
from collections import OrderedDict
from dataclasses import replace

from models.decision import Classification


class TextCache:
    """The answers to the texts that were asked for last. Thread-safe.

    hits, misses: how often `get` found an answer, and how often not.
    """

    def __init__(self, max_texts: int) -> None:
        """max_texts: how many answers are kept; 0 keeps none."""
        if max_texts < 0:
            raise ValueError(f"max_texts={max_texts} is below 0")
        self.max_texts = max_texts
        self.hits = 0
        self.misses = 0
        self._answers: OrderedDict[str, Classification] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, text: str) -> Classification | None:
        """The answer to exactly this text, if it is kept."""
        with self._lock:
            found = self._answers.get(text)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._answers.move_to_end(text)
            return found

    def put(self, text: str, found: Classification) -> None:
        """Keep an answer, without embedding and audit (a cached answer is not a sample of anything); the one that was
        not asked for longest makes room."""
        if not self.max_texts:
            return
        if found.embedding is not None or found.agrees is not None:
            found = replace(found, embedding=None, agrees=None)
        with self._lock:
            self._answers[text] = found
            self._answers.move_to_end(text)
            if len(self._answers) > self.max_texts:
                self._answers.popitem(last=False)
