"""Nobody else on the machine reads what Headrace keeps."""

from pathlib import Path

import pytest

from connectors.private_folders import is_open_to_others, make_private
from connectors.sqlite_store import SQLiteStore
from headrace.tools.doctor.places import home_finding


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not there yet, in a folder that everyone may read."""
    tmp_path.chmod(0o755)
    return tmp_path / "home"


def test_what_is_made_is_the_owners_alone_and_what_stands_is_left(home: Path) -> None:
    """D-A9: HEADRACE_HOME was readable by every user, and with it the customers' texts."""
    make_private(home / "deep" / "er")
    assert [is_open_to_others(path) for path in (home.parent, home, home / "deep", home / "deep" / "er")] == [
        True,
        False,
        False,
        False,
    ]
    make_private(home.parent)
    assert is_open_to_others(home.parent)


def test_a_store_makes_its_folder_private(home: Path) -> None:
    SQLiteStore(home / "decisions.db").close()
    assert not is_open_to_others(home)


def test_doctor_says_whether_others_can_look_into_the_home(home: Path) -> None:
    assert "not there yet" in home_finding(home).detail
    make_private(home)
    assert "owner's alone" in home_finding(home).detail
    home.chmod(0o755)
    assert f"chmod 700 {home}" in home_finding(home).detail


def test_a_folder_that_is_not_there_is_open_to_nobody(home: Path) -> None:
    assert not is_open_to_others(home)
