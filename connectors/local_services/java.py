"""Java programs on this machine: which JDKs are installed, and programs fetched by Maven."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.errors import ServiceUnavailable
from connectors.local_services.process import run

FETCH_SECONDS = 900.0  # 107 MB on a slow line

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jdk:
    """An installed Java: its home and its major version."""

    home: Path
    major: int

    @property
    def java(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"


def find_jdks() -> list[Jdk]:
    """Every Java found in JAVA_HOME, the usual folders and PATH, newest first."""
    homes = [Path(value) for name in ("JAVA_HOME", "ES_JAVA_HOME") if (value := os.environ.get(name))]
    for parent in ("/usr/lib/jvm", "/usr/java", "/opt/java", "~/.sdkman/candidates/java", "~/.jdks"):
        homes += sorted(Path(parent).expanduser().glob("*"))
    homes += sorted(Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home"))
    if on_path := shutil.which("java"):
        homes.append(Path(on_path).resolve().parent.parent)
    jdks: dict[Path, Jdk] = {}
    for home in homes:
        if (major := _java_major(home)) is not None:
            jdks[home.resolve()] = Jdk(home.resolve(), major)
    return sorted(jdks.values(), key=lambda jdk: (jdk.major, str(jdk.home)), reverse=True)


def _java_major(home: Path) -> int | None:
    """The major version as the `release` file beside a Java says it; None where there is no Java."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    with contextlib.suppress(OSError):
        match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', (home / "release").read_text(), re.MULTILINE)
        return int(match.group(1)) if match else None
    return None


def newest_jdk(wanted: range, what: str) -> Jdk:
    """The newest installed Java of the wanted majors. Raises ServiceUnavailable naming those found."""
    jdks = find_jdks()
    for jdk in jdks:
        if jdk.major in wanted:
            return jdk
    there = ", ".join(str(jdk.major) for jdk in jdks) or "none"
    raise ServiceUnavailable(f"{what} needs Java {wanted.start} to {wanted.stop - 1}, found: {there}; install a JDK")


@contextlib.contextmanager
def one_at_a_time(target: Path) -> Iterator[None]:
    """Held by the process that brings a program to `target`; another one that wants the same waits. Raises
    ServiceUnavailable where it takes too long."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=FETCH_SECONDS)
    except Timeout:
        raise ServiceUnavailable(f"another process has been fetching {target.name} for long; is it alive?") from None
    try:
        yield
    finally:
        lock.release()


def fetch(target: Path, coordinates: Sequence[str], sha256: str, size: str, progress: Progress) -> Path:
    """Maven artifacts (group:artifact:version:type) and what they need, as files in `target`; whole or not at all.

    sha256: over all files, see `_digest`; not every mirror carries checksums of its own. size: for people.
    """
    if target.exists():
        return target
    with one_at_a_time(target):
        if not target.exists():
            _fetch(target, coordinates, sha256, size, progress)
    return target


def _fetch(target: Path, coordinates: Sequence[str], sha256: str, size: str, progress: Progress) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServiceUnavailable(
            f"{target.name} comes by Maven and `mvn` is not installed; install Maven, or set HEADRACE_BROKER and "
            f"HEADRACE_STORE "
            "to services that run elsewhere"
        )
    progress(f"fetching {target.name} ({size}, once)")
    with tempfile.TemporaryDirectory(dir=target.parent) as staging:
        pom = Path(staging) / "pom.xml"
        pom.write_text(_pom(coordinates))
        files = Path(staging) / "files"
        command = [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={files}"]
        run(command, f"fetching {target.name} by Maven", FETCH_SECONDS)
        files.chmod(0o755)
        if (digest := _digest(files)) != sha256:
            raise ServiceUnavailable(
                f"{target.name} as fetched is not what this Headrace was tested with (sha256 {digest[:12]}, expected "
                f"{sha256[:12]}); remove it from ~/.m2/repository and try again"
            )
        files.rename(target)


def _digest(folder: Path) -> str:
    """One sha256 over all files' names and contents, in the order of their names."""
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        with file.open("rb") as content:
            total.update(f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _pom(coordinates: Sequence[str]) -> str:
    parts = []
    for coordinate in coordinates:
        group, artifact, version, kind = coordinate.split(":")
        parts.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version><type>{kind}</type></dependency>"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>headrace</groupId><artifactId>services</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{''.join(parts)}</dependencies></project>"
    )
