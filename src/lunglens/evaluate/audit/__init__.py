"""The shortcut audit: can the classes be told without the lungs, and does a classifier do so?"""
