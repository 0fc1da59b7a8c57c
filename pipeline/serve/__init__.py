"""Uploaded videos -> the probability of every class, over HTTP, and a page to try it.

A file is looked at before it is decoded, and refused with a status and a reason where it is too large or no video.
Nothing of it is kept.
"""
