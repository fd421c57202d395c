"""Jinja2 templates of the pages, as files of the package."""
