"""What the system must stand: the faults and bad inputs that tests in this folder show.

A test names its row with `@pytest.mark.row("F7")`. docs/reliability.md is made from this table.
"""

from typing import Final

FAULTS: Final = {
    "F1": ("SIGKILL of the worker group 25 times over 2,000 photos", "settled"),
    "F2": ("SIGKILL of one worker process in the middle of a batch", "attempt + 1, settled"),
    "F3": ("a photo that always kills its worker", "`failed(crashed)` after 3, mates tagged"),
    "F4": ("a photo that eats memory", "`failed(crashed)` after 3, mates tagged, worker alive"),
    "F5": ("SIGTERM in the middle of a batch", "finished or back in its row; exit 0 in time"),
    "F6": ("SIGSTOP of a worker past its lease, then SIGCONT", "its late write is fenced off"),
    "F7": ("Valkey SIGKILLed and restarted", "goes on within 30 s"),
    "F8": ("FLUSHALL while photos wait", "the relay rings again; settled"),
    "F9": ("Valkey frozen for 15 s and for 60 s", "settled; no worker stays wedged"),
    "F10": ("a connection to Valkey goes silent, without FIN or RST", "goes on within 60 s"),
    "F11": ("Valkey full, with `noeviction`", "the relay backs off, rows stay due"),
    "F12": ("Valkey down when everything starts", "intake records; work starts when it is back"),
    "F13": ("Postgres stopped with `immediate` in the middle of commits", "all or nothing"),
    "F14": ("Postgres frozen", "bounded waits; nothing stays stuck"),
    "F15": ("Postgres out of connections", "backoff, no crash loop"),
    "F16": ("SIGKILL of the relay between marking and sending", "rung again at the lease's end"),
    "F17": ("every message three times, shuffled, and two relays", "one effect"),
    "F18": (
        "an origin answers 503 to everything, then heals; another hangs",
        "their breakers open; others keep 90 % of their pace; all drains",
    ),
    "F19": ("disk full, or a read-only model folder", "clear error; the old model serves"),
    "F20": ("a new model, and a migration, under load", "one model a row; nothing lost"),
    "F21": (
        "the training worker SIGKILLed in the middle of an epoch",
        "goes on from its checkpoint; tagging goes on beside it",
    ),
    "F22": ("a host of the fleet cut off, then back", "settled"),
}

INPUTS: Final = {
    "I1": ("other schemes, no host, credentials, controls, a 100 KB URL", "`bad_url`, no socket"),
    "I2": ("private, link-local and disguised IPv4 addresses", "`blocked_address`"),
    "I3": ("IPv6 that is private or carries IPv4", "`blocked_address`"),
    "I4": ("names that resolve to public and private addresses", "bad ones are never dialled"),
    "I5": ("redirects to loopback, to `file:`, too many, a loop", "refused by the same checks"),
    "I6": ("an odd port; `HTTP_PROXY` set", "`bad_url`; the proxy is ignored"),
    "I7": ("dripping headers and bodies, a TLS handshake that stalls", "`too_slow` in time"),
    "I8": ("10 GB announced; endless chunks", "`too_large`, memory bounded"),
    "I9": ("gzip bombs, stacked encodings, a bomb on a redirect", "refused, memory bounded"),
    "I10": ("short body, reset, 206", "`truncated`, tried again"),
    "I11": ("404, 410, 429 with Retry-After, 503, an HTML page", "final, delayed, tried again"),
    "I12": ("a content type that lies, both ways", "magic bytes decide"),
    "I13": ("empty, 1x1, fewer than 1,000 elements", "`not_an_image`, `too_small`"),
    "I14": ("60000x60000 claimed; 49 MP in 143 KB", "`too_many_pixels` before decoding"),
    "I15": ("truncated, bit-flipped, a header that lies", "`undecodable`"),
    "I16": ("GIF, animated WebP, SVG, TIFF, PPM, JPEG 2000", "`unsupported_format`"),
    "I17": (
        "CMYK, grey, 16-bit, alpha, palette, EXIF, broken ICC, progressive",
        "tagged as the plain twin",
    ),
    "I18": ("messages: no JSON, pickle, wrong version, unknown id, 10 MB", "logged once, dropped"),
    "I19": (
        "events: duplicate, out of order, deleted, NUL, odd Unicode, SQL, 10,000 photos",
        "one row, or one rejected event with its reason",
    ),
    "I20": (
        "models: wrong hash, `../`, symlink, shape bomb, Lambda, NaN",
        "refused; old one serves",
    ),
    "I21": ("data sets: broken lines, duplicates, HTML, a gzip cut short", "counted by kind"),
    "I22": ("HTTP intake: signatures, replay, size, type, rate", "4xx; nothing stored"),
}

ROWS: Final = FAULTS | INPUTS
