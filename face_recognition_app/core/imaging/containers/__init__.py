"""The structure of picture files, walked before a decoder sees them, so that no picture costs much more than its size.

Each module reads its format's size and refuses what is broken, or what would take a decoder far more work than any
ordinary picture of as many pixels. A walk looks at some hundreds of parts at most; what lies between them is searched
at C speed.
"""
