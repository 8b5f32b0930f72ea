"""Facts on films and their headers that several rooms go by; each has its one home here."""

# A file so called was meant for a film: where its bytes are none, somebody has to be told.
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff")
DICOM_ENDINGS = (".dcm", ".dicom", ".ima", ".dc3", ".acr")
FILM_ENDINGS = frozenset(PICTURE_ENDINGS + DICOM_ENDINGS)
JSRT_ENDING = ".img"  # of many things else too

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # of an archive, and of an empty one

# Modalities (PS3.3 C.7.3.1.1.1): of plain radiography; of how a file came to be, whatever it shows.
PLAIN_RADIOGRAPHY = frozenset(("CR", "DX", "RG", "DR", "XR"))
UNSTATED_MODALITIES = frozenset(("OT", "SC"))

FRONTAL_VIEWS = ("PA", "AP", "FRONTAL")  # how the names of frontal views begin, in upper case

ADULT_YEARS = 18
UNDER_AGE = f"under {ADULT_YEARS}"
UNITS_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}  # of an Age String (PS3.5 6.2)
