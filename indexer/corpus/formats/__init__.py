"""Readers of file formats: each turns an open file into documents."""
