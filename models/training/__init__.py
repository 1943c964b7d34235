"""The code that made the networks in ``models/weights``; it is not part of the wheel."""
