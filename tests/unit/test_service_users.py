"""Files of a server that root starts as `nobody`: no link that the server's user planted leads root's writes away."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.errors import ServiceUnavailable
from connectors.local_services import elasticsearch, java, services
from connectors.local_services.users import make_for_server, make_for_us, nobody, read_of_server, write_anew

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass through; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="headrace-test-users-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_link_in_place_of_a_file_goes_and_its_target_stays(tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("secret")
    (tmp_path / "server.log").symlink_to(secret)
    with write_anew(tmp_path / "server.log") as log:
        log.write(b"started")
    assert secret.read_text() == "secret"
    assert not (tmp_path / "server.log").is_symlink()


def test_links_in_place_of_folders_and_of_what_the_server_wrote_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("secret")
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "keystore").symlink_to(tmp_path / "elsewhere" / "file")
    with pytest.raises(ServiceUnavailable, match="is a link"):
        make_for_server(tmp_path / "data")
    with pytest.raises(OSError, match="symbolic link"):
        read_of_server(tmp_path / "keystore")


@as_root
def test_a_folder_that_stands_for_ours_by_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServiceUnavailable, match="no folder of its own"):
        make_for_us(tmp_path / "home")


@pytest.fixture
def fake_program(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for Elasticsearch: it tries to write beside its settings, says so in its data, and sleeps."""
    program = open_folder / "program"
    for name in ("bin", "config"):
        (program / name).mkdir(parents=True)
    (program / "config" / "jvm.options").write_text("-Xmx1m")
    scripts = {
        "elasticsearch": 'cd "$HOME"; id -u > data/user; touch config/planted server.log.old 2> data/refused; '
        "exec sleep 300",
        "elasticsearch-keystore": 'echo "$1" >> "$ES_PATH_CONF/elasticsearch.keystore"',
    }
    for name, script in scripts.items():
        (program / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (program / "bin" / name).chmod(0o755)
    monkeypatch.setattr(elasticsearch, "install_elasticsearch", lambda *_: program)
    monkeypatch.setattr(elasticsearch, "newest_jdk", lambda *_: java.Jdk(Path("/usr"), 17))
    monkeypatch.setattr(
        elasticsearch, "wait_healthy", lambda started, *_: wait_for(Path(started[0].log).parent / "data" / "refused")
    )
    return program


def wait_for(file: Path) -> None:
    from real_services import wait_until

    wait_until(lambda: file.exists() and file.stat().st_size, what="the server's attempt")


@as_root
def test_a_server_that_root_starts_cannot_turn_roots_next_write_elsewhere(
    open_folder: Path, fake_program: Path
) -> None:
    """D-A10: root wrote settings and log through links in a folder that belonged to nobody; one that led to a system
    file was emptied at the next start."""
    home = open_folder / "services" / "elasticsearch-8"
    home.mkdir(parents=True)
    secret = open_folder / "shadow"
    secret.write_text("secret")
    os.chown(home, *nobody())  # as an earlier version left it, with what someone planted there
    (home / "config").mkdir()
    os.chown(home / "config", *nobody())
    for planted in ("server.log", "layout.json", "config/elasticsearch.yml", "config/elasticsearch.keystore"):
        (home / planted).symlink_to(secret)
    (home / "layout.json").unlink()  # what is read is not written: its link would only be followed to read ports
    try:
        services.start(open_folder / "services", kafka=False, cache=open_folder)
        assert secret.read_text() == "secret"
        assert (home / "data" / "user").read_text().strip() == str(nobody()[0])
        assert "config/planted" in (home / "data" / "refused").read_text()
        assert "server.log.old" in (home / "data" / "refused").read_text()
        ours = [home, home / "server.log", home / "config", *(home / "config").rglob("*")]
        assert {path.stat(follow_symlinks=False).st_uid for path in ours} == {0}
        assert not [path for path in ours if stat.S_IMODE(path.stat().st_mode) & 0o022]
        assert stat.S_IMODE((home / "config" / "elasticsearch.keystore").stat().st_mode) == 0o640
    finally:
        services.stop(open_folder / "services")
