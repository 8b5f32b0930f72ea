"""Lets `python -m lunglens.jobs FOLDER` do one job."""

import sys

from lunglens.jobs.process import main

sys.exit(main())
