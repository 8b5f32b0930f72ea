"""What becomes of a film whose reading or analysis has raised an error."""

from typing import Literal

from lunglens.errors import LungLensError, NotAChestRadiographError
from lunglens.files import readable


def failure_of(error: Exception) -> tuple[Literal["refused", "failed"], str] | None:
    """Status and reason; None where nobody foresaw the error: its text may hold what the file says of a patient."""
    if isinstance(error, LungLensError):
        return ("refused" if isinstance(error, NotAChestRadiographError) else "failed"), readable(error)
    if isinstance(error, MemoryError):
        return "failed", "not enough memory for this image"
    return None
