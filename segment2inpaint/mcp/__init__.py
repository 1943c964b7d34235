"""The MCP server: an assistant finds, removes and replaces objects by calling tools.

``files`` says which files the server may read and write, ``arguments`` turns a tool's arguments
into a ``Request``, ``tools`` does the work, ``server`` offers it in the Model Context Protocol.
"""
