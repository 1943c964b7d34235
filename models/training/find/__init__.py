"""Export of the published networks that find text and faces."""
