"""The model registry: releases in a local folder or an object store."""

from connectors.registry.releases import FolderRegistry

__all__ = ["FolderRegistry"]
