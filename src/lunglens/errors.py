"""Errors that LungLens raises on purpose; anything else is a defect."""


class LungLensError(Exception):
    """Base of every error that LungLens raises; its text says which file, what is wrong and what to do."""


class UnreadableImageError(LungLensError):
    """The file cannot be read as one radiograph."""


class DecoderDiedError(UnreadableImageError):
    """The file's pixels ended the process that decodes them."""


class DecodingTimeoutError(DecoderDiedError):
    """The file's pixels kept the process that decodes them busy for too long, and it was ended."""


class DecoderNotStartedError(UnreadableImageError):
    """The process that decodes does not start, which says nothing of the file."""


class NotAChestRadiographError(LungLensError):
    """The file says of itself that it is no single chest radiograph: another modality, raw data, several frames.

    code: the same as one word: "modality", "raw-data" or "frames".
    """

    def __init__(self, text: str, code: str = "not-a-chest-radiograph") -> None:
        super().__init__(text)
        self.code = code


class ModelPackageError(LungLensError):
    """A model package is missing, incomplete, damaged or of another format version."""


class DeviceError(LungLensError):
    """A device that networks should run on is not installed, not there, or cannot run this network."""


class DataError(LungLensError):
    """A data set on disk is missing or not in its published layout."""


class ConfigurationError(LungLensError):
    """A configuration file is missing or holds something unknown or out of range."""


class OutputError(LungLensError):
    """Results cannot be written (full disk, no permission, folder in use); going on would only lose more."""
