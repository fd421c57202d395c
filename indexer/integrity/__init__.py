"""Integrity: errors of damage, and looks at layouts before a library reads them."""
