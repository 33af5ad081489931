"""Every error this project raises on purpose.

    TaggerError
    ├── PhotoError                 one photo cannot be tagged (now, or ever)
    │   ├── FetchError             BadUrl, BlockedHost, BlockedAddress, TooManyRedirects,
    │   │                          Unresolvable, Unreachable, TlsFailed, TooSlow, TooLarge,
    │   │                          Truncated, NotFound, Forbidden, Disallowed, BadResponse,
    │   │                          ChangedPhoto, Overdue, RetryAfter: RateLimited,
    │   │                          OriginUnavailable, HostResting
    │   ├── DecodeError            NotAnImage, UnsupportedFormat, TooSmall, TooManyPixels,
    │   │                          Undecodable, Blank
    │   ├── ModelError             Unseen
    │   └── Crashed, Unexpected
    ├── EventError                 one listing event cannot be recorded
    ├── RequestRefused             one HTTP request is refused (producer/http/problems.py)
    ├── IndexAway                  the search index does not take documents now: BatchRefused
    ├── MessageError               one queue message is not ours
    ├── ArtifactError              a model artifact is refused
    ├── ModelUnknown               no model is registered under that name
    ├── PromotionRefused           a model is not to become the champion
    ├── DecisionError              thresholds do not fit their model
    ├── DatasetError               a training data set cannot be used
    ├── TrainingDiverged           a training leads nowhere
    ├── Busy                       the review page fetches too many photos at once
    └── SetupError                 the machine or the settings stop a command

A leaf's docstring is its message for people, `code` is its name in the tables and
`retryable` says whether the same photo may do better later.
"""

from typing import ClassVar


class TaggerError(Exception):
    """Something went wrong in the tagger."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        sentence = (self.__class__.__doc__ or self.code).strip().splitlines()[0]
        return f"{sentence} ({self.detail})" if self.detail else sentence


class PhotoError(TaggerError):
    """The photo cannot be tagged."""

    code = "photo_error"


class FetchError(PhotoError):
    """The photo cannot be fetched."""

    code = "fetch_error"


class BadUrl(FetchError):
    """The URL is not one that photos are fetched from."""

    code = "bad_url"


class BlockedHost(FetchError):
    """The settings keep the photo's host out."""

    code = "blocked_host"


class BlockedAddress(FetchError):
    """The host resolves to an address that is not public."""

    code = "blocked_address"


class TooManyRedirects(FetchError):
    """The origin redirects without end."""

    code = "too_many_redirects"


class Unresolvable(FetchError):
    """The host name does not resolve."""

    code = "unresolvable"
    retryable = True


class Unreachable(FetchError):
    """The origin does not accept the connection."""

    code = "unreachable"
    retryable = True


class TlsFailed(FetchError):
    """The origin's TLS certificate or handshake is not acceptable."""

    code = "tls_failed"
    retryable = True


class TooSlow(FetchError):
    """The photo did not arrive within its deadline."""

    code = "too_slow"
    retryable = True


class TooLarge(FetchError):
    """The photo has more bytes than are read."""

    code = "too_large"


class Truncated(FetchError):
    """The origin sent less than the whole photo."""

    code = "truncated"
    retryable = True


class NotFound(FetchError):
    """The origin has no such photo."""

    code = "not_found"


class Forbidden(FetchError):
    """The origin refuses to hand out the photo."""

    code = "forbidden"


class Disallowed(FetchError):
    """The origin asks programs not to use the photo, by X-Robots-Tag."""

    code = "disallowed"


class RetryAfter(FetchError):
    """The origin cannot hand out the photo now, and may have said when it can."""

    code = "retry_after"
    retryable = True

    def __init__(self, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RateLimited(RetryAfter):
    """The origin asks to come back later."""

    code = "rate_limited"


class OriginUnavailable(RetryAfter):
    """The origin is in trouble."""

    code = "origin_unavailable"


class HostResting(RetryAfter):
    """Its host is in trouble and left alone for now; the photo is not to blame."""

    code = "host_resting"

    def __init__(
        self,
        detail: str = "",
        retry_after_s: float | None = None,
        *,
        cause: str = "",
        stranger: bool = False,
    ) -> None:
        """`cause` is the code of the trouble; a `stranger` has never answered anybody."""
        super().__init__(detail, retry_after_s)
        self.cause = cause or self.code
        self.stranger = stranger


class BadResponse(FetchError):
    """The origin's answer is not one that carries a photo."""

    code = "bad_response"


class ChangedPhoto(FetchError):
    """The origin sends another photo than the one that was tagged."""

    code = "changed_photo"


class DecodeError(PhotoError):
    """The photo cannot be decoded."""

    code = "decode_error"


class NotAnImage(DecodeError):
    """The bytes are not a picture."""

    code = "not_an_image"


class UnsupportedFormat(DecodeError):
    """The picture is in a format that is not accepted."""

    code = "unsupported_format"


class TooSmall(DecodeError):
    """The picture is too small to show anything."""

    code = "too_small"


class TooManyPixels(DecodeError):
    """The picture claims more pixels than are decoded."""

    code = "too_many_pixels"


class Undecodable(DecodeError):
    """The picture is damaged."""

    code = "undecodable"


class Blank(DecodeError):
    """The picture is one plain colour and shows nothing."""

    code = "blank"


class ModelError(PhotoError):
    """The model gave no usable scores for the photo."""

    code = "model_error"


class Unseen(ModelError):
    """There is no telling where the model looked."""

    code = "unseen"


class Overdue(FetchError):
    """It was not the photo's turn while its batch lasted; another batch takes it."""

    code = "overdue"
    retryable = True

    def __init__(self, detail: str = "", again_s: float = 0.0) -> None:
        super().__init__(detail)
        self.again_s = again_s  #: when it may be its turn


class Crashed(PhotoError):
    """The worker died each time it held this photo."""

    code = "crashed"


class Unexpected(PhotoError):
    """Something that nobody thought of went wrong; the worker's log says what."""

    code = "unexpected"
    retryable = True


class EventError(TaggerError):
    """The listing event cannot be recorded."""

    code = "bad_event"

    def __init__(self, kind: str, detail: str) -> None:
        """`kind` is what stands as code in `rejected_event`, such as `not_json`."""
        super().__init__(detail)
        self.kind = kind


class IndexAway(TaggerError):
    """The search index does not take documents now."""

    code = "index_away"


class BatchRefused(IndexAway):
    """The search index does not take these documents together."""

    code = "batch_refused"


class MessageError(TaggerError):
    """The queue message is not one of ours."""

    code = "bad_message"


class ArtifactError(TaggerError):
    """The model artifact is refused."""

    code = "bad_artifact"


class ModelUnknown(TaggerError):
    """No such model is registered; `tagger model list` shows those that are."""

    code = "model_unknown"


class PromotionRefused(TaggerError):
    """The model does not become the champion."""

    code = "promotion_refused"


class DecisionError(TaggerError):
    """The thresholds cannot be used."""

    code = "bad_decision"


class DatasetError(TaggerError):
    """The data set, or what one is made of, cannot be used."""

    code = "bad_dataset"


class TrainingDiverged(TaggerError):
    """The training's loss is no number any more; a lower learning rate may help."""

    code = "training_diverged"


class ClusterLost(TaggerError):
    """A process that trained along is gone; end the others too, and start all of them again."""

    code = "cluster_lost"


class Busy(TaggerError):
    """Too many photos are fetched at once; try again in a moment."""

    code = "busy"


class SetupError(TaggerError):
    """The command cannot run as things are set up."""

    code = "setup_error"
