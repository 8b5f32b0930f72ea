"""Lung fields: the mask, its post-processing, its sides; and published masks."""
