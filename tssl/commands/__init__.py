"""The verbs of the command line, one file each: parse, call one function of the workflow, print.

Text is parsed here and nowhere below. Rooms are imported inside the commands, so that
``tssl --help`` answers at once.
"""
