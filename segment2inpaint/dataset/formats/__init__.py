"""Readers of photo collections: folders, tables, annotations, shards."""
