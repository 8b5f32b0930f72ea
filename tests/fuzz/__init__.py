"""Fuzzing of the readers: valid seed files, mutations that know the formats, and a run that counts what happens.

    python -m tests.fuzz.run --count 10000 --seed 1 --out results/fuzz.json

Input number N of a seed is always the same bytes, so that a finding is two numbers.
"""
