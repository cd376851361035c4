"""What everybody has in ten lines: TF-IDF and a linear support vector machine, on the rows that a release gets."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from retrain.data import Dataset


def floor_accuracy(dataset: Dataset, *, characters: bool, oos_label: str | None = None) -> float:
    """Share of the in-scope test texts decided rightly. characters: one to three characters, else one and two words.
    It trains on the tuning rows as well, knows no rejection, and is not tuned."""
    head = dataset.heads[0]
    rows = [row for row in dataset.rows if row.labels[head] != oos_label]
    trains, tests = [row for row in rows if row.split != "test"], [row for row in rows if row.split == "test"]
    vectors = TfidfVectorizer(
        analyzer="char" if characters else "word", ngram_range=(1, 3) if characters else (1, 2), sublinear_tf=True
    )
    model = make_pipeline(vectors, LinearSVC())
    model.fit([row.text for row in trains], [row.labels[head] for row in trains])
    return float(model.score([row.text for row in tests], [row.labels[head] for row in tests]))
