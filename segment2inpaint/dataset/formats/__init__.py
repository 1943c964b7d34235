"""Readers of photo collections: folders, tables, annotated datasets, shards."""
