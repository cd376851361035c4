"""What a registry can do without: versions that nobody refers to, files that no version names, and what publishers that
died left behind."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from connectors.errors import RegistryError
from connectors.registry.files import SCRATCH, RegistryFiles

GRACE_SECONDS: Final = 24 * 3600.0  # a file that no version names may be one of a release that is being published
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Garbage:
    """versions: (model, version). blobs and leftovers: names below the registry's root. bytes: of the blobs."""

    versions: tuple[tuple[str, str], ...]
    blobs: tuple[str, ...]
    leftovers: tuple[str, ...]
    bytes: int

    def without_blobs_of(self, files: RegistryFiles, versions: Mapping[str, Sequence[str]]) -> "Garbage":
        """The same without the files that these versions name."""
        needed = _named_blobs(files, versions)
        blobs = tuple(blob for blob in self.blobs if blob.removeprefix("blobs/") not in needed)
        return replace(self, blobs=blobs)


def superseded(versions: Sequence[str], in_use: Collection[str], keep: int) -> list[str]:
    """Those of a model's versions, oldest first, that are neither in use nor among the `keep` newest (at least one: the
    newest gives the next one its number)."""
    return [version for version in versions[: -max(1, keep)] if version not in in_use]


def find_garbage(files: RegistryFiles, versions: Mapping[str, Sequence[str]], gone: Mapping[str, list[str]]) -> Garbage:
    """versions: of every model in the registry; gone: those of them that shall go."""
    kept = {
        model: [version for version in all_of if version not in gone.get(model, [])]
        for model, all_of in versions.items()
    }
    needed = _named_blobs(files, kept)
    freed = _named_blobs(files, gone)
    blobs = []
    for name in files.names("blobs"):
        path = f"blobs/{name}"
        if _SHA256.fullmatch(name) and name not in needed and (name in freed or _is_old(files, path)):
            blobs.append(path)
    return Garbage(
        versions=tuple((model, version) for model, some in gone.items() for version in some),
        blobs=tuple(blobs),
        leftovers=tuple(_leftovers(files, versions)),
        bytes=sum(files.size(blob) or 0 for blob in blobs),
    )


def remove_garbage(files: RegistryFiles, garbage: Garbage) -> None:
    """The versions first: a crash in between leaves files without a version, never a version without its files."""
    for model, version in garbage.versions:
        files.remove_with_folder(f"models/{model}/{version}/manifest.json")
    for name in (*garbage.blobs, *garbage.leftovers):
        files.remove(name)


def _named_blobs(files: RegistryFiles, versions: Mapping[str, Sequence[str]]) -> set[str]:
    """The hashes that these versions name. Raises RegistryError for a manifest that cannot be read: what it needs is
    not known."""
    named: set[str] = set()
    for model, some in versions.items():
        for version in some:
            content = files.read(f"models/{model}/{version}/manifest.json")
            try:
                manifest = json.loads(content or b"")
                named |= {str(file["sha256"]) for file in manifest["files"].values()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RegistryError(
                    f"the manifest of {model}@{version} cannot be read, so nobody knows which files it needs; "
                    f"`headrace models verify {model}@{version}`"
                ) from error
    return named


def _leftovers(files: RegistryFiles, versions: Mapping[str, Sequence[str]]) -> list[str]:
    """What was being written aside when its writer died."""
    folders = ["blobs", *(f"models/{model}" for model in versions)]
    folders += [f"models/{model}/{version}" for model, some in versions.items() for version in some]
    aside = [f"{folder}/{name}" for folder in folders for name in files.names(folder) if name.startswith(SCRATCH)]
    return [name for name in aside if _is_old(files, name)]


def _is_old(files: RegistryFiles, name: str) -> bool:
    try:
        return files.age_seconds(name) > GRACE_SECONDS
    except FileNotFoundError:
        return False
