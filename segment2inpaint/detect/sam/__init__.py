"""Segment Anything and its successors."""
