"""Methods beside themselves without their idea."""
