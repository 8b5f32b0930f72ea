"""System 4 of table 1: texture descriptors with flat and hierarchical classifiers (Pereira et al. 2020).

R. M. Pereira, D. Bertolini, L. O. Teixeira, C. N. Silla Jr, Y. M. G. Costa, "COVID-19 identification in chest X-ray
images on flat and hierarchical classification scenarios", Comput Methods Programs Biomed 194 (2020) 105532.

Certain: the descriptors and their lengths, early and late fusion, the five flat classifiers, the eleven resampling
methods, one predictive clustering tree over the hierarchy. Readings: what the docstrings of `descriptors.py` call so,
the classifiers' settings (a course script of the authors' group), the z-score within the fold. Ours must differ in the
BSIF filters (learned anew: the published ones have no clear licence), in the tree's stop (smallest leaf, chosen on
validation films; Clus has an F-test), in SVM's settings and calibration (validation films), and in the folds, which
keep patients apart. Nothing of the authors' program, which is not published, was used.
"""

from lunglens.train.systems.texture.model import assert_can_train, load, train

__all__ = ["assert_can_train", "load", "train"]
