"""SAM and its relatives."""
