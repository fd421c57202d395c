"""Loading and saving of models: folders, hub names, formats."""
