"""What an item's words say: TF-IDF of words and pairs of words, one unit vector an item.

Characters stand for words where a script has no spaces (Chinese, Japanese), so that such titles meet as well.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

# A word, or one character of a script that writes without spaces.
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class TitleVectors:
    """Words of a catalogue, learnt once; other texts are read by them."""

    def __init__(self, texts: Sequence[str]) -> None:
        """texts: of all items. Texts without a word are well, they are like no other."""
        from sklearn.feature_extraction.text import TfidfVectorizer  # a second of every worker's start otherwise

        self._vectorizer = TfidfVectorizer(
            tokenizer=_WORD.findall, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
        )
        try:
            self._vectorizer.fit(texts)
        except ValueError:  # not one word in all of them
            self._vectorizer.fit([*texts, "0"])

    def of(self, texts: Sequence[str]) -> csr_matrix:
        """Unit vectors, float32 (texts, words); a row of zeros where no word is known."""
        return csr_matrix(self._vectorizer.transform(texts))
