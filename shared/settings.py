"""Every setting of every process: one frozen object, read from the environment.

`DATABASE_URL` and `REDIS_URL` name the servers; everything else is `TAGGER_<NAME>`. A secret may
stand in a file instead, which the variable with _FILE behind its name names. `tagger dev up` leaves
both URLs in `.tagger/services.env`, read when they are not set.
"""

import os
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final, TypeVar, get_args

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.host import hosts_from_commas, is_within
from shared.domain.vocabulary import canonical
from shared.errors import SetupError
from shared.servers import given_secret, refuse_known_password

SERVICES_ENV = Path(".tagger/services.env")
DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "models" / "default"

PRODUCT = "listing-tagger"
#: A URL, or a mail address, of characters that a comment of a header holds as they are
#: (RFC 9110, section 5.6.5). No URL with a user in it: that may be a password.
_OPERATOR = re.compile(
    r"https?://[!-'*-.0-?A-\[\]-~]+(/[!-'*-\[\]-~]*)?|[!-'*-.0-9;-?A-\[\]-~]+@[!-'*-?A-\[\]-~]+"
)
#: As browsers write it (RFC 6454, section 6.2).
_HTTPS_ORIGIN = r"^https://[a-z0-9.-]+(:[1-9][0-9]{0,4})?$"
_PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")

Port = Annotated[int, Field(ge=1, le=65535)]
S = TypeVar("S", bound="PhotoLimits")


class PhotoLimits(BaseSettings):
    """How photos are fetched and decoded: what a command without servers needs."""

    model_config = SettingsConfigDict(
        env_prefix="TAGGER_",
        env_file=SERVICES_ENV,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )

    # Fetching
    #: A photo that takes longer leaves the fast lane and comes round in the slow one.
    fetch_deadline_s: PositiveFloat = 2
    #: So do the last tenth of a batch, this long after the others, or half as long as those took.
    stragglers_s: PositiveFloat = 0.5
    slow_fetch_deadline_s: PositiveFloat = 30
    max_photo_bytes: PositiveInt = 10 << 20
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    #: Of one process. A host of your own may stand more; 200 ms of latency at 1,000 photos a
    #: second need 200.
    connections_per_host: PositiveInt = 64
    #: Of one process, to all hosts together.
    connections: PositiveInt = 512
    #: Of the whole fleet to one host; none by default. A process has its share of it, and one
    #: connection at least.
    fleet_connections_per_host: PositiveInt | None = None
    #: What the whole fleet asks one host for in a second; none by default.
    host_photos_per_s: PositiveFloat | None = None
    #: After so many failures in a row, with no answer in between, a host is left to rest.
    host_failures: PositiveInt = 5
    #: For so long at first, and for twice as long each time it fails again.
    host_rest_s: PositiveFloat = 5
    host_rest_max_s: PositiveFloat = 300
    #: The longest that a host is left alone because its Retry-After says so.
    retry_after_max_s: PositiveFloat = 3600
    #: What one process expects to arrive, and what has arrived and is not yet decoded.
    max_bytes_in_flight: PositiveInt = 64 << 20
    #: Whom an origin may turn to: a URL or a mail address, sent in every User-Agent.
    operator: Annotated[str, Field(max_length=200)] | None = None
    #: Sent whole instead of `listing-tagger/<version> (+<operator>)`.
    user_agent: Annotated[str, Field(max_length=500)] | None = None
    #: Comma-separated names and addresses, checked at every hop. A name stands for itself and
    #: all below it. Without any, photos may come from every host whose address is public.
    allowed_hosts: Annotated[frozenset[str], NoDecode] = frozenset()
    #: In the same form; these win. An address among them is not dialled under a name, either.
    denied_hosts: Annotated[frozenset[str], NoDecode] = frozenset()
    #: Whether `X-Robots-Tag: noindex` and its like end a photo as `disallowed`. Off, since such
    #: headers speak to search engines, while photos here come from listings of your own
    #: marketplace, whose sellers hand them in to be found.
    respect_robots_tag: bool = False
    #: Lets photos come from loopback and private networks, for development and tests; never
    #: from link-local addresses, where clouds keep their credentials.
    allow_private_hosts: bool = False
    allowed_ports: Annotated[frozenset[Port], NoDecode] = frozenset({80, 443})

    # Decoding
    max_photo_pixels: PositiveInt = 40_000_000
    #: The paper's rule: height x width x channels below this shows nothing.
    min_photo_elements: PositiveInt = 1000

    @field_validator("allowed_ports", mode="before")
    @classmethod
    def _ports_from_commas(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("operator")
    @classmethod
    def _is_reachable(cls, operator: str | None) -> str | None:
        if operator is not None and not _OPERATOR.fullmatch(operator):
            raise ValueError("neither an http or https URL nor a mail address")
        return operator

    @field_validator("user_agent")
    @classmethod
    def _fits_a_header(cls, agent: str | None) -> str | None:
        if agent is not None and not _PRINTABLE.fullmatch(agent):
            raise ValueError("not printable ASCII")
        return agent

    @field_validator("allowed_hosts", "denied_hosts", mode="before")
    @classmethod
    def _hosts_from_commas(cls, value: object) -> object:
        return hosts_from_commas(value) if isinstance(value, str) else value

    @field_validator("denied_hosts")
    @classmethod
    def _something_is_left(cls, denied: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        allowed: frozenset[str] = info.data.get("allowed_hosts", frozenset())
        if allowed and all(is_within(host, denied) for host in allowed):
            raise ValueError("denies every host in TAGGER_ALLOWED_HOSTS")
        return denied

    @property
    def agent(self) -> str:
        """The User-Agent of every request."""
        if self.user_agent is not None:
            return self.user_agent
        return _product() + (f" (+{self.operator})" if self.operator else "")

    @property
    def is_anonymous(self) -> bool:
        """Whether origins that are not our own cannot tell whose requests these are."""
        named = self.operator is not None or self.user_agent is not None
        return not (named or self.allow_private_hosts)


class Settings(PhotoLimits):
    """All limits, each with its unit in its name."""

    # Servers
    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    redis_url: SecretStr = Field(validation_alias="REDIS_URL")
    connect_timeout_s: PositiveInt = 5
    statement_timeout_s: PositiveFloat = 30
    lock_timeout_s: PositiveFloat = 10
    #: How long Valkey may stay silent before a connection to it counts as dead.
    redis_socket_timeout_s: PositiveFloat = 10

    @property
    def silence_s(self) -> float:
        """How long Postgres may leave a statement without any answer.

        A little longer than its own time-outs, which come first and say more.
        """
        return self.statement_timeout_s + 5

    # Intake
    intake_batch_events: PositiveInt = 500
    max_event_bytes: PositiveInt = 1 << 20
    max_photos_per_listing: PositiveInt = 100
    max_seller_tags: PositiveInt = 100

    # Intake over HTTP
    #: Keys that requests may be signed with, as whsec_<base64>, apart by spaces or commas.
    webhook_secrets: SecretStr | None = None
    #: How far a signature's time may lie from ours; also how long a replay is recognised.
    webhook_tolerance_s: PositiveInt = 300
    #: Takes events in binary mode too, though signatures do not cover their attributes.
    allow_unsigned_attributes: bool = False
    #: Takes events without signatures, on loopback addresses only.
    allow_unsigned_events: bool = False
    #: Of a request that carries a batch; one event may have `max_event_bytes`.
    max_batch_bytes: PositiveInt = 2 << 20
    max_header_bytes: PositiveInt = 16 << 10
    #: From the connection, or a request's first byte, to the end of its headers.
    header_deadline_s: PositiveFloat = 10
    body_deadline_s: PositiveFloat = 20
    #: A request that is not recorded within this time is answered with 503.
    answer_deadline_s: PositiveFloat = 20
    #: How long a connection may stay open without a request.
    idle_connection_s: PositiveInt = 30
    #: Open connections of one process; further ones are closed at once.
    max_connections: PositiveInt = 512
    #: Requests that wait to be recorded in one process; further ones are answered with 429.
    max_requests: PositiveInt = 32
    #: While more photos than this are due or queued in the tagging lane, requests are answered
    #: with 429.
    max_photos_waiting: PositiveInt = 1_000_000

    # Intake from a stream
    #: Where `tagger intake stream` reads, as redis://...; where REDIS_URL points by default.
    stream_url: SecretStr | None = None
    #: An entry that was read and not acknowledged for so long is another process's to record.
    stream_claim_s: PositiveFloat = 60

    # Queue
    #: The most photos a message names; it names fewer where they take long.
    batch_photos: Annotated[int, Field(ge=1, le=256)] = 256
    #: The relay leaves rows due once a queue holds this many messages.
    queue_depth_messages: PositiveInt = 16
    slow_queue_depth_messages: PositiveInt = 4
    #: A photo rung for and not claimed within this time is rung for again.
    queued_lease_s: PositiveFloat = 20
    #: A photo claimed and not finished within this time counts as crashed.
    working_lease_s: PositiveFloat = 120
    #: A worker process that takes no message for this long while some wait is restarted. Longer
    #: than any reconnect takes.
    stuck_after_s: PositiveFloat = 30
    max_attempts: PositiveInt = 5
    #: A photo that waits for a host to recover uses no attempt until it has waited for so long.
    host_patience_s: PositiveFloat = 86_400
    #: The same where the host has never answered anybody: most likely nobody lives there.
    stranger_patience_s: PositiveFloat = 900
    max_crashes: PositiveInt = 3
    #: Where nobody saw its worker die, as when the machine is lost, it gets more chances: it may
    #: have been the photo, and most likely was not.
    max_losses: PositiveInt = 10
    backoff_base_s: PositiveFloat = 10
    backoff_max_s: PositiveFloat = 3600

    # Worker
    #: Asked to stop, a worker gives its downloads this long; then they go back to their rows.
    stop_grace_s: PositiveFloat = 5
    #: A process that keeps this much memory ends once its batches have, and is started again; not
    #: in its first five minutes. Eight batches of large photos take 282 MB; more threads take more.
    recycle_process_bytes: PositiveInt = 512 << 20
    #: A process with this much ends at once, and its photos count as crashed. Two photos of
    #: 40 megapixels with alpha in 16 bits take 1.8 GB together.
    max_process_bytes: PositiveInt = 2 << 30

    #: A training that its worker does not renew for so long goes on elsewhere.
    training_lease_s: PositiveFloat = 120

    # Model
    #: Pins a worker to the model in this folder; without it, it serves the database's champion.
    model_dir: Path | None = None
    #: Where registered models are kept: a folder that all machines share, or one on each.
    model_store: Path = Path(".tagger/models")
    #: How often a worker looks whether another model is to serve.
    model_poll_s: PositiveFloat = 2
    #: A model that was refused is tried again this much later: a share may be mounted by then.
    model_refused_pause_s: PositiveFloat = 30
    #: How long a file of a model that lies at a URL may take to arrive.
    model_fetch_deadline_s: PositiveFloat = 120

    # Search
    #: The text search configuration of Postgres that `tagger index` and `tagger search` use.
    #: After a change: `tagger index --rebuild`.
    search_language: Annotated[str, Field(pattern="^[a-z_]{1,63}$")] = "english"
    #: Where `tagger index` goes instead of Postgres: http(s)://[user:password@]host[:port].
    index_url: SecretStr | None = None
    #: Certificates of the authorities that it is trusted by, in PEM, instead of the usual ones: a
    #: cluster's own authority, most often.
    index_ca_file: Path | None = None

    # Flags
    #: Tags that the marketplace's policy names, with semicolons between them (some have commas):
    #: `tagger flag` flags what shows or says them. After a change: `tagger flag --rebuild`.
    restricted_tags: Annotated[frozenset[str], NoDecode] = frozenset()
    #: Whether flags are only noted in `listing_flag`; else documents mention them.
    flags_shadow: bool = True

    # Review
    #: What browsers see `tagger review` under, as https://host[:port]; beyond this machine it is
    #: needed, with a server in front that ends TLS.
    review_origin: Annotated[str, Field(pattern=_HTTPS_ORIGIN)] | None = None
    #: How long a reviewer stays signed in.
    review_session_s: PositiveInt = 43_200

    # Logs
    log_format: Annotated[str, Field(pattern="^(auto|console|json)$")] = "auto"
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @field_validator("review_origin")
    @classmethod
    def _without_its_own_port(cls, origin: str | None) -> str | None:
        """As browsers write it, who leave the port out that https means anyway."""
        return origin and origin.removesuffix(":443")

    @field_validator("restricted_tags", mode="before")
    @classmethod
    def _tags_from_semicolons(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(filter(None, (canonical(tag) for tag in value.split(";"))))


#: What is secret, by the names that the model takes it under.
_SECRETS: Final = tuple(
    str(field.validation_alias or name)
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
)


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SetupError: a setting is missing or out of range; names the variable, never its value.
    """
    return _load(Settings)


def load_photo_limits() -> PhotoLimits:
    """The settings of a command that fetches photos and needs no server.

    Raises:
        SetupError: as `load_settings`.
    """
    return _load(PhotoLimits)


@lru_cache(maxsize=1)
def _product() -> str:
    try:
        return f"{PRODUCT}/{version(PRODUCT)}"
    except PackageNotFoundError:  # a source tree beside its libraries, as some images have it
        return PRODUCT


def _load(kind: type[S]) -> S:
    known = {_variable((name,)) for name in Settings.model_fields}
    known |= {f"{_variable((name,))}_FILE" for name in _SECRETS}
    unknown = sorted(n for n in os.environ if n.startswith("TAGGER_") and n not in known)
    if unknown:
        # A limit with a typo in its name would otherwise silently be no limit.
        raise SetupError(f"no setting is called {', '.join(unknown)}")
    # A command without servers has no need of secrets.
    secrets = _SECRETS if issubclass(kind, Settings) else ()
    given = {name: its for name in secrets if (its := given_secret(os.environ, _variable((name,))))}
    try:
        settings = kind(**given)  # pyright: ignore[reportArgumentType]  # the rest: environment
    except ValidationError as error:
        problems = "; ".join(f"{_variable(item['loc'])}: {item['msg']}" for item in error.errors())
        missing = any(item["type"] == "missing" for item in error.errors())
        hint = "; set DATABASE_URL and REDIS_URL, or run `tagger dev up`" if missing else ""
        raise SetupError(problems + hint) from None
    if isinstance(settings, Settings):
        for name in _SECRETS:
            secret: SecretStr | None = getattr(settings, name.lower())
            if secret is not None:  # keys are no URLs, and have no password in them
                refuse_known_password(_variable((name,)), secret.get_secret_value())
    return settings


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0])
    return name if name.isupper() else f"TAGGER_{name.upper()}"
