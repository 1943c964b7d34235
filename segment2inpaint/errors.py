"""The errors that a user can correct; each message is one line.

Errors::

    Segment2InpaintError        what a user can put right: one line, no traceback
      BadImage                  a photo that cannot be read, or cannot be written as asked
      BadPrompt                 a prompt that makes no sense, here or for this detector
      BadOption                 any other option out of its range
      NothingFound              no object at the prompt
      ModelMissing              a model that is not on this machine
      BadModel                  a file or folder that is not the model it should be
      BadDataset                a set of photos that cannot be run as asked
"""

from __future__ import annotations


class Segment2InpaintError(Exception):
    """What a user can put right; anything else is a bug and keeps its traceback."""


class BadImage(Segment2InpaintError):
    """A photo that cannot be read, or cannot be written as asked."""


class BadPrompt(Segment2InpaintError):
    """A prompt that makes no sense for this photo or this detector."""


class BadOption(Segment2InpaintError):
    """An option out of its range."""


class NothingFound(Segment2InpaintError):
    """No object at the prompt."""


class ModelMissing(Segment2InpaintError):
    """A model that is not on this machine."""


class BadModel(Segment2InpaintError):
    """A file or folder that is not the model it should be."""


class BadDataset(Segment2InpaintError):
    """A set of photos that cannot be run as asked."""
