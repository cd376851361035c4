"""Every error Headrace raises on purpose.

HeadraceError
├── ConfigError            settings, flags or an application file are wrong: exit 1
├── MessageError           one record cannot be decided: dead letter
│   └── PictureFault       a picture cannot be decided: the text beside it still can, unless a picture is demanded
├── ModelError             a model cannot be built, loaded or used
│   ├── ReleaseCorrupt     a file of a release does not match its hash or its golden texts
│   └── TrainingDataError  the labelled data cannot train or score a model
└── ConnectorError         an outside system failed (subclasses in connectors/errors.py)

A message holds the fact, the values and the way out, in one line. `retriable` says whether trying the
same call again can help, so that a retry loop needs no list of names.
"""

from typing import ClassVar


class HeadraceError(Exception):
    """Base of all errors that the command line shows as one line and exit code 1."""

    retriable: ClassVar[bool] = False


class ConfigError(HeadraceError):
    """A setting, a flag or an application file is wrong."""


class MessageError(HeadraceError):
    """A record that cannot be decided. `reason` is a short fixed word, used as a header and a metric label."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class PictureFault(MessageError):
    """A picture that cannot be decided. `reason` begins with `picture_`."""


class ModelError(HeadraceError):
    """A model cannot be built, loaded or used."""


class ReleaseCorrupt(ModelError):
    """A release's file does not match its hash, or its golden texts come out differently."""


class TrainingDataError(ModelError):
    """Labelled data that cannot train or score a model."""


class ConnectorError(HeadraceError):
    """An outside system failed."""


def json_kind(value: object) -> str:
    """What an error calls a JSON value, in JSON's words: "null", "a text", "a number" …"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
