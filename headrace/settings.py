"""Settings: headrace.toml, then HEADRACE_* variables, then flags. Nothing else in the code reads the environment."""

import difflib
import os
import re
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, cast

from platformdirs import user_cache_path
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from connectors.addresses import BROKER_CREDENTIALS, REGISTRY_CREDENTIALS, STORE_CREDENTIALS, refuse_userinfo
from headrace.toml_files import read_toml
from models.errors import ConfigError

PREFIX = "HEADRACE_"
# What Kubernetes puts into every pod for a Service called headrace or headrace-...: "service links", on by default.
SERVICE_LINK = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
SECRET_NAME = re.compile("password|secret|key|token|user", re.IGNORECASE)
SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")  # of a variable ..._PORT, which may have a setting's name


class Settings(BaseSettings):
    """All settings. Each can stand in headrace.toml under its name, or in the environment as HEADRACE_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file="headrace.toml", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    broker: str = Field("kafka://127.0.0.1:9092", description="`embedded`, or `kafka://host:port,host:port`")
    store: str = Field("", description="`sqlite:///path` or `http(s)://host:port`; empty: HEADRACE_HOME/decisions.db")
    registry: str = Field(
        "", description="folder of the models, or s3://, gs://, abfs://, az:// URL; empty: HEADRACE_HOME/registry"
    )
    home: Path = Field(Path("~/.headrace"), description="where Headrace keeps its own files")
    cache: Path = Field(
        user_cache_path("headrace"), description="what can be made again: encoder graphs, service files"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the encoder runs; auto takes a GPU where one is usable"
    )
    threads: int = Field(0, ge=0, description="threads of the encoder; 0: one per core")
    encoder: str = Field(
        "all-MiniLM-L6-v2",
        description="default encoder, or a folder with config.json, tokenizer.json, model.safetensors",
    )
    stop_seconds: float = Field(
        20.0, gt=0, description="hard limit of a stop, seconds; past it the process leaves with code 3"
    )
    instance: str = Field(
        "",
        description="static member id of this process: a restart takes its partitions back at once; give each process "
        "one of its own (a StatefulSet's pod name)",
    )
    retention_days: int = Field(
        0, ge=0, description="drop decisions on texts older than this many days, once a whole index is; 0: keep all"
    )
    store_shards: int = Field(
        1, ge=1, le=1024, description="primary shards of a new Elasticsearch index; one holds 2 billion decisions"
    )
    store_replicas: int | None = Field(
        None, ge=0, description="copies of each shard; unset: one where Elasticsearch has a second node"
    )
    store_index_span: Literal["month", "week", "day"] = Field(
        "month", description="how much time an Elasticsearch index holds; one that stands already is filled up first"
    )
    replication: int = Field(
        -1,
        ge=-1,
        description="replicas of topics that Headrace creates; -1: as many as the broker's default.replication.factor",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="serve /metrics, /health/live and /health/ready here; 0: off"
    )
    metrics_host: str = Field("127.0.0.1", description="address to serve them at; 0.0.0.0 for all of this machine's")
    stuck_seconds: float = Field(
        90.0,
        ge=20,
        description="nothing moves though there is work, or no broker answers, for so many seconds: leave with "
        "code 1 and the reason; "
        "above the 60 s for which a store or broker that is away is tried again",
    )
    session_seconds: float = Field(
        10.0,
        ge=10,
        description="a process that is not heard of for so long loses its partitions to another; with an instance, how "
        "long it may take to come back before they move",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="how much is logged to stderr")
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "", description="SASL mechanism of the broker; empty: none"
    )
    sasl_user: str = Field("", description="SASL user name")
    sasl_password_file: Path | None = Field(None, description="file that holds the SASL password")
    tls_ca_file: Path | None = Field(
        None,
        description="certificate authority (PEM) of broker and store, where neither has one of its own; switches TLS "
        "on for the broker unless HEADRACE_TLS_BROKER=0",
    )
    tls_cert_file: Path | None = Field(None, description="client certificate (PEM) for both")
    tls_key_file: Path | None = Field(None, description="its key (PEM, not encrypted)")
    tls_broker: bool | None = Field(
        None, description="TLS for the broker: 1 with the system's certificate authorities too, 0 never"
    )
    broker_tls_ca_file: Path | None = Field(
        None, description="certificate authority of the broker alone; switches TLS on for it"
    )
    broker_tls_cert_file: Path | None = Field(None, description="client certificate for the broker alone")
    broker_tls_key_file: Path | None = Field(None, description="its key")
    store_tls_ca_file: Path | None = Field(
        None, description="certificate authority of the store alone; the broker's connection stays as it is"
    )
    store_tls_cert_file: Path | None = Field(None, description="client certificate for the store alone")
    store_tls_key_file: Path | None = Field(None, description="its key")
    allow_plaintext: bool = Field(
        False, description="send passwords and keys unencrypted to other machines as well; refused otherwise"
    )
    store_api_key_file: Path | None = Field(None, description="file that holds Elasticsearch's API key")
    store_user: str = Field("", description="Elasticsearch user name, where no API key is used")
    store_password_file: Path | None = Field(None, description="file that holds that user's password")

    alertmanager: str = Field(
        "",
        description="address of an Alertmanager that is told of every application's alerts, beside its own receivers",
    )
    alert_hosts: str = Field(
        "",
        description="hosts, addresses and networks, separated by commas, that alerts may be sent to though they are "
        "not public, or not over TLS: `alertmanager,10.1.0.0/16`",
    )
    picture_hosts: str = Field(
        "",
        description="hosts that pictures beside texts are fetched from, separated by commas, with their port where it "
        "is not the usual one: `cdn.example.com,photos.example.com:8443`. Over TLS and to public addresses only, but "
        "for networks that stand here as well: `10.1.0.0/16`",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before the environment before headrace.toml."""
        variables = cast(EnvSettingsSource, env_settings)
        variables.env_vars = {
            name: value
            for name, value in variables.env_vars.items()
            if value and value.strip() and not is_service_link(name.upper(), value)
        }
        return init_settings, env_settings, _SettingsFile(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _leave_empty_ones_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        """What is empty is not set: compose files and manifests pass every variable, with nothing in most."""
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}

    @property
    def home_path(self) -> Path:
        """`home` with ~ resolved."""
        return self.home.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """`store`, or the default beside the other files."""
        return self.store or f"sqlite:///{self.home_path / 'decisions.db'}"

    @property
    def registry_url(self) -> str:
        """`registry`, or the default beside the other files."""
        return self.registry or str(self.home_path / "registry")


class _SettingsFile(TomlConfigSettingsSource):
    """headrace.toml, as editors write it: a byte order mark is no part of it."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        values = read_toml(Path(str(file_path)))
        for name in values:
            if name not in Settings.model_fields:
                raise ConfigError(
                    f"{file_path.name}: unknown setting {name!r}{_near(name, list(Settings.model_fields))}"
                )
        return values


def load_settings(**flags: Any) -> Settings:
    """The settings in force; a flag that is None does not count. Raises ConfigError with the way out in one line."""
    _refuse_unknown_variables()
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:  # not chained: it holds the refused value, and that may be a secret
        raise ConfigError(_refusal(error.errors()[0])) from None
    _check_addresses(settings)
    return settings


def _refusal(error: ErrorDetails) -> str:
    """Which setting, why, and what was given, where that cannot be a secret."""
    name = ".".join(str(part) for part in error["loc"])
    given = error["input"]
    is_shown = isinstance(given, str | int | float | bool) and not SECRET_NAME.search(name) and "@" not in str(given)
    return f"setting {name} ({PREFIX}{name.upper()}): {error['msg']}" + (f", got {given!r:.80}" if is_shown else "")


def is_service_link(name: str, value: str | None) -> bool:
    """Whether a variable is none of ours but the address of a Kubernetes Service that is called like us."""
    is_address = name.endswith("_PORT") and SERVICE_ADDRESS.fullmatch(value or "") is not None
    return name.startswith(PREFIX) and (is_address or SERVICE_LINK.fullmatch(name) is not None)


def _refuse_unknown_variables() -> None:
    """pydantic-settings lets a mistyped variable pass; a setting that silently does nothing is worse than an error."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable, value in os.environ.items():
        name = variable.upper()  # pydantic-settings takes either case
        if name in known or is_service_link(name, value) or name.startswith(PREFIX + "TEST_"):
            continue
        if name.startswith(PREFIX):
            raise ConfigError(f"unknown setting {variable}{_near(name, known)}")


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"


def _check_addresses(settings: Settings) -> None:
    """Only addresses that are known, and no credentials in them. No message holds what was given where that may be a
    password."""
    refuse_userinfo("HEADRACE_BROKER", settings.broker, BROKER_CREDENTIALS)
    if settings.broker != "embedded" and not settings.broker.startswith("kafka://"):
        raise ConfigError(f"HEADRACE_BROKER must be `embedded` or `kafka://host:port`, got {settings.broker!r}")
    if not settings.store_url.startswith("sqlite:///"):
        refuse_userinfo("HEADRACE_STORE", settings.store_url, STORE_CREDENTIALS)
    if not settings.store_url.startswith(("sqlite:///", "http://", "https://")):
        raise ConfigError(f"HEADRACE_STORE must be `sqlite:///path` or `http(s)://host:port`, got {settings.store!r}")
    if "://" in settings.registry_url:
        refuse_userinfo("HEADRACE_REGISTRY", settings.registry_url, REGISTRY_CREDENTIALS)
