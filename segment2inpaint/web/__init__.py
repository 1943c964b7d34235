"""The web page for pointing at objects: a local server and the page that it serves.

``app.create_app`` builds the server on one ``Editor``, and ``server.serve`` runs it.
"""
