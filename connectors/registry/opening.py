"""Which files a registry's address stands for."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from connectors.errors import RegistryError
from connectors.registry.files import RegistryFiles
from connectors.registry.local_files import LocalFiles
from connectors.registry.object_files import ObjectFiles

EXTRAS: Final = {"s3": "s3", "gs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}  # protocol to extra


def open_files(root: str) -> RegistryFiles:
    """root: a folder, or file://, memory://, s3://, gs://, abfs:// and az:// URLs. Raises RegistryError for others."""
    named = re.split("::|://", root, maxsplit=1)
    protocol = named[0] if len(named) > 1 else "file"
    if "::" in root or protocol not in ("file", "memory", *EXTRAS):
        raise RegistryError(
            f"HEADRACE_REGISTRY cannot be a {protocol}:// URL: only a folder, s3://, gs://, abfs:// and memory:// make "
            f"sure that two processes never publish one version"
        )
    if protocol == "file":
        return LocalFiles(Path(root.removeprefix("file://")).expanduser().absolute())
    import fsspec  # an object store's alone: a folder is opened without it

    try:
        files, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
    except ImportError as error:
        extra = EXTRAS.get(protocol, protocol)
        raise RegistryError(
            f"HEADRACE_REGISTRY={protocol}://... needs the extra {extra}: pip install 'headrace[{extra}]' ({error})"
        ) from error
    if not urlsplit(root).netloc:
        raise RegistryError(f"HEADRACE_REGISTRY={root} names no bucket; give {protocol}://bucket/folder")
    return ObjectFiles(files, path)
