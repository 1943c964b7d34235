"""The page where one clicks: a local server, and the page that it serves.

``app.make`` builds the server over one ``Editor``; ``server.serve`` runs it. Both need the
extra ``[web]``.
"""
