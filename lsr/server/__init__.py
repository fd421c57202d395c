"""The HTTP server: REST API and search page."""
