"""Parsers that check the structure of a picture file before a decoder sees it, to bound the cost of decoding.

Each module reads the width and height of its format. It refuses a damaged file, and one that a decoder would work on
far longer than on an ordinary picture of as many pixels. A parser visits some hundreds of parts at most and searches
the bytes between them at C speed.
"""
