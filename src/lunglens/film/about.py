"""What every result says of the program that made it, and reckons with."""

__version__ = "0.1.0"
PREVALENCE = 0.05  # of what is looked for, where the reader has not set one
NOTICE = "Research use only. Not a medical device. Not for diagnosis."
