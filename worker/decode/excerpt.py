"""What a decoder needs of a progressive JPEG that it decodes at a fraction of its size (pure).

A progressive JPEG sends its coefficients in scans, coarse ones first (ITU-T T.81, annex G). A
decoder entropy-decodes all of them, although at 1/8 it uses one coefficient of 64. Here it is
given the scans that count at its scale, and an end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from worker.decode.containers import DQT, JPEG_END, jpeg_segments
from worker.decode.scans import (
    PROGRESSIVE,
    Component,
    Scan,
    check_scans,
    components,
    frame_kind,
    has_several_scans,
    scans,
)
from worker.decode.sniff import Header

#: At 1/2 nearly all scans count, and leaving some out changes more pixels than decoding at 1/2
#: does: those of a 200 pixel photo at 48x48 by 1.2 levels in the mean, against 0.9.
_LEAST_REDUCTION: Final = 4
#: How many pixels a block's side becomes, and the last coefficient, in zigzag order, of the
#: frequencies that so many pixels show.
_LAST: Final = {1: 0, 2: 4, 4: 24, 8: 63}
#: So many low bits of an AC coefficient may be left out. Encoders send as many in refinements,
#: which are most of a file.
_BITS_LEFT_OUT: Final = 2
#: The coefficient of frequency 2 down, 0 across, in zigzag order.
_SECOND_DOWN: Final = 3


def needed(body: bytes, header: Header, reduction: int) -> bytes:
    """The file as far as a decoder needs it at 1/`reduction` of its size.

    All of it, unless it is a progressive JPEG, the reduction is 4 or 8, and its scans come as
    encoders send them. Then it is another JPEG, made of the header, the DC scans and their
    refinements, and the first scans of the AC coefficients that show at this scale.

    Args:
        body: a photo of any format.
        header: what `sniff` says of it.
        reduction: 1, 2, 4 or 8.

    Raises:
        Undecodable: it has too many scans, or their headers contradict themselves.
    """
    if header.format != "jpeg" or not has_several_scans(body, header):
        return body
    if reduction < _LEAST_REDUCTION or frame_kind(body, header) != PROGRESSIVE:
        check_scans(body, header)
        return body
    frame = components(body, header)
    sides = _sides(frame, reduction)
    chosen = _chosen(scans(body), {id_: _LAST[side] for id_, side in sides.items()})
    if not chosen:
        check_scans(body, header)
        return body
    at = chosen[0][0].start
    parts: list[bytes | bytearray] = [_unsmoothed(body[:at], frame, sides)]
    for scan, counts in chosen:
        parts.append(body[at : scan.start])  # tables, for this scan or a later one
        if counts:
            parts.append(body[scan.start : scan.end])
        at = scan.end
    return b"".join([*parts, JPEG_END])


def _sides(frame: Sequence[Component], reduction: int) -> dict[int, int]:
    """By component id, how many pixels the side of a block becomes.

    A component of fewer samples is reduced less, so that it need not be enlarged: libjpeg's
    `jpeg_calc_output_dimensions`.
    """
    across = 8 // reduction * max(one.across for one in frame)
    down = 8 // reduction * max(one.down for one in frame)
    sides: dict[int, int] = {}
    for one in frame:
        side = 8 // reduction
        while side < 8 and not (across % (2 * side * one.across) or down % (2 * side * one.down)):
            side *= 2
        sides[one.id] = side
    return sides


def _chosen(found: Iterable[Scan], last: Mapping[int, int]) -> list[tuple[Scan, bool]]:
    """The scans up to the last one that counts, and whether each of them does.

    Those count that send the coefficients up to `last` of each component, by component id, but
    for their low bits. None at all where the scans come in an order that encoders do not use,
    or some are missing.
    """
    chosen: list[tuple[Scan, bool]] = []
    dc_bits: dict[int, int] = {}
    sent: dict[int, int] = {}
    for scan in found:
        component, *others = scan.components
        if not last.keys() >= {component, *others} or (scan.first and others):
            return []
        counts = True
        if scan.first == 0:
            if not _dc_follows(scan, dc_bits):
                return []
            for id_ in scan.components:
                dc_bits[id_] = scan.low
                sent.setdefault(id_, 0)
        elif scan.high == 0 and scan.first <= last[component]:
            if not _ac_follows(scan, sent.get(component, -1)):
                return []
            sent[component] = scan.last
        else:
            counts = False
        chosen.append((scan, counts))
        if all(sent.get(id_, -1) >= end and not dc_bits[id_] for id_, end in last.items()):
            return chosen
    return []


def _dc_follows(scan: Scan, bits: Mapping[int, int]) -> bool:
    """Whether a DC scan sends what is missing, given the lowest bits sent (T.81, G.1.1.1.1)."""
    if scan.last:
        return False
    if scan.high:
        return scan.low == scan.high - 1 and all(
            bits.get(id_) == scan.high for id_ in scan.components
        )
    return not any(id_ in bits for id_ in scan.components)


def _ac_follows(scan: Scan, sent: int) -> bool:
    """Whether an AC scan goes on after coefficient `sent`, the last one of its component."""
    return sent + 1 == scan.first <= scan.last <= 63 and scan.low <= _BITS_LEFT_OUT


def _unsmoothed(head: bytes, frame: Sequence[Component], sides: Mapping[int, int]) -> bytearray:
    """The segments before the first scan, so that libjpeg makes up no missing coefficient.

    It would guess them from the blocks around (`do_block_smoothing`), which blurs the picture
    and takes more time than decoding it. It does not where a quantiser that the guess divides by
    is 0: here one of a coefficient that blocks of 1x1 and 2x2 pixels have no use for
    (libjpeg's jidctred.c).
    """
    changed = bytearray(head)
    used = {one.table for one in frame if sides[one.id] > 2}
    unused = {one.table for one in frame} - used
    for marker, start, end in jpeg_segments(head + JPEG_END):
        at = start
        while marker == DQT and at < end:  # T.81, B.2.4.1
            bytes_each, table = 1 + (head[at] >> 4), head[at] & 15
            quantiser = at + 1 + _SECOND_DOWN * bytes_each
            if table in unused and quantiser + bytes_each <= end:
                changed[quantiser : quantiser + bytes_each] = bytes(bytes_each)
            at += 1 + 64 * bytes_each
    return changed
