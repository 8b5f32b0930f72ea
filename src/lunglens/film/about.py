"""What every result says of the program that made it, and reckons with."""

__version__ = "0.1.0"
MARGIN = 0.02  # of AUROC, by which a model may be worse and is not inferior, where the reader has not set one
PREVALENCE = 0.05  # of what is looked for, where the reader has not set one
NOTICE = "Research use only. Not a medical device. Not for diagnosis."
