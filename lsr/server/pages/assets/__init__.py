"""Style sheet, script and icon of the served pages, as files of the package."""
