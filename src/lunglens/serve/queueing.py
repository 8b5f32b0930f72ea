"""Uploads into the queue, and what is answered where there is no room."""

from fastapi import HTTPException

from lunglens.serve.service import Analysis, QueueFullError, Service
from lunglens.serve.uploads import Received


def queued(service: Service, received: Received) -> list[Analysis]:
    """Queue all films of a request, or delete them.

    Raises:
        HTTPException: 413 where they are more than may ever wait, 503 where they are more than may wait now.
    """
    if len(received.films) > service.settings.most_queued:
        received.discard()
        raise HTTPException(413, f"more than {service.settings.most_queued} films, which are never taken at once")
    try:
        return service.submit(received.films)
    except QueueFullError as error:
        received.discard()
        raise busy(error) from error


def busy(error: QueueFullError) -> HTTPException:
    """503, and when to try again."""
    return HTTPException(503, "too many films are waiting; try again later", {"retry-after": str(error.retry_s)})
