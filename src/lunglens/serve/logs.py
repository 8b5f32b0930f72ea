"""What is logged, and that libraries log nothing: their lines may hold patients' data."""

import logging
import sys
import threading
import warnings

from lunglens.text import ascii_line


def only_our_log() -> None:
    """Our lines go to stderr; those of libraries, and their warnings, go nowhere."""
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    ours = logging.getLogger("lunglens")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO)
    # A traceback's last line may hold what could not be read: a birth date, say.
    threading.excepthook = lambda ended: ours.error("a thread has ended: %s", ended.exc_type.__name__)


def plain(text: object, longest: int = 39) -> str:
    """Text from outside as it may stand in a line of a log: nothing that a terminal obeys, and short.

    longest: characters; 39 are an IPv6 address, or twice a DICOM title.
    """
    return ascii_line(str(text or "-"), longest)
