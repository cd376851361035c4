"""The releases of a fault campaign."""

from pathlib import Path

from small_release import small_release

from bench.faults.scene.releases import ReleaseShelf


def test_a_campaigns_labels_are_known_to_its_releases(tmp_path: Path) -> None:
    """M-11: retrainers were asked with a label `other` that no release knew and no training took."""
    release = small_release()
    shelf = ReleaseShelf(tmp_path, "faults", release.manifest, release.blobs)
    for head in release.classifier.heads.values():
        assert shelf.known_label(head.name) in head.labels
