"""The errors that a user can correct. Each message is one line.

::

    Segment2InpaintError
      BadImage        a photo that cannot be read, or cannot be written as asked
      BadPrompt       a prompt that is wrong for this photo or for this detector
      BadOption       an option out of its range
      NothingFound    no object at the prompt
      ModelMissing    a model that is not on this machine
        PackageMissing  a package that is not installed
      BadModel        a file or folder that does not hold the expected model
      BadDataset      a collection of photos that cannot be processed as asked
"""

from __future__ import annotations


class Segment2InpaintError(Exception):
    """Base of all errors that a user can correct; any other exception is a bug."""


class BadImage(Segment2InpaintError):
    """The photo cannot be read, or cannot be written as asked."""


class BadPrompt(Segment2InpaintError):
    """The prompt is wrong for this photo or for this detector."""


class BadOption(Segment2InpaintError):
    """An option is out of its range."""


class NothingFound(Segment2InpaintError):
    """There is no object at the prompt."""


class ModelMissing(Segment2InpaintError):
    """The model is not on this machine."""


class PackageMissing(ModelMissing):
    """A package that the request needs is not installed; the message has the command."""


class BadModel(Segment2InpaintError):
    """The file or folder does not hold the expected model."""


class BadDataset(Segment2InpaintError):
    """The collection of photos cannot be processed as asked."""
