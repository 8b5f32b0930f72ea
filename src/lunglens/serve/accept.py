"""Which media type of those that a resource has is answered with (RFC 9110 12.5.1, PS3.18 8.7)."""

import re
from email.message import Message

from fastapi import HTTPException

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_RANGE = re.compile(r'(?:[^,"]|"[^"]*")+')


def chosen(accept: str, offered: tuple[str, ...]) -> str:
    """The first of the offered types, such as 'multipart/related; type="application/dicom"', that is accepted.

    accept: the header; "" takes anything.

    Raises:
        HTTPException: 406, none is.
    """
    ranges = [_parsed(part) for part in _RANGE.findall(accept)] or [_parsed("*/*")]
    for offer in offered:
        if any(_takes(range_, _parsed(offer)) for range_ in ranges):
            return offer
    raise HTTPException(406, f"only {' or '.join(offered)} can be answered")


def _parsed(text: str) -> Message:
    message = Message()
    message["content-type"] = text.strip()
    return message


def _takes(range_: Message, offer: Message) -> bool:
    """What is kept is sent as it is kept, and labelled so, all but pictures by JPEG in explicit little endian."""
    kind = str(range_["content-type"]).partition(";")[0].strip().lower()
    main = offer.get_content_maintype()
    if kind not in ("*/*", f"{main}/*", offer.get_content_type()):
        return False
    if re.fullmatch(r"0(\.0*)?", str(range_.get_param("q", "1"))):
        return False
    if range_.get_param("type", None) not in (None, "*/*", offer.get_param("type")):
        return False
    return range_.get_param("transfer-syntax", "*") in ("*", EXPLICIT_LITTLE_ENDIAN)
