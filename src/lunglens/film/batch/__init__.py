"""Many films into a folder of results: one bad file never stops the rest, and a killed batch goes on.

find: which files are films. names: what their results are called. journal: what is done, and which files are ours.
write: one film's results. summary: one film's row, and the table of them all. run: the batch.
"""

from lunglens.film.batch.find import find_films
from lunglens.film.batch.journal import JOURNAL
from lunglens.film.batch.names import result_names
from lunglens.film.batch.run import run_batch
from lunglens.film.batch.summary import SUMMARY, SummaryRow, summary_csv
from lunglens.film.batch.write import AnalysisWriter, LungsWriter, Writer

__all__ = [
    "JOURNAL",
    "SUMMARY",
    "AnalysisWriter",
    "LungsWriter",
    "SummaryRow",
    "Writer",
    "find_films",
    "result_names",
    "run_batch",
    "summary_csv",
]
