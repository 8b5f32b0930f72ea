"""Errors that LungLens raises on purpose; anything else is a defect."""


class LungLensError(Exception):
    """Base of every error that LungLens raises; its text says which file, what is wrong and what to do."""


class UnreadableImageError(LungLensError):
    """The file cannot be read as one radiograph."""


class DecoderDiedError(UnreadableImageError):
    """The file's pixels ended the process that decodes them, or kept it busy for too long."""


class NotAChestRadiographError(LungLensError):
    """The file says of itself that it is no single chest radiograph: another modality, body part, several frames."""


class ModelPackageError(LungLensError):
    """A model package is missing, incomplete, damaged or of another format version."""


class DataError(LungLensError):
    """A data set on disk is missing or not in its published layout."""


class ConfigurationError(LungLensError):
    """A configuration file is missing or holds something unknown or out of range."""


class OutputError(LungLensError):
    """Results cannot be written (full disk, no permission, folder in use); going on would only lose more."""
