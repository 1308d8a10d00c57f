"""The largest frame that a transport can carry."""

from __future__ import annotations

from aflint.errors import RecordTooLargeError
from aflint.transport.base import TransportTraits


def check_size(frame: bytes, traits: TransportTraits) -> None:
    """Raise RecordTooLargeError for a frame that is larger than the transport can carry."""
    if len(frame) > traits.max_frame_bytes:
        raise RecordTooLargeError(
            f"a frame of {len(frame)} bytes is larger than the {traits.max_frame_bytes} bytes that "
            "this transport can carry; make the record smaller, or choose another transport"
        )
