"""What every result says of the program that made it."""

__version__ = "0.1.0"
NOTICE = "Research use only. Not a medical device. Not for diagnosis."
