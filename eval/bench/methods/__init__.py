"""Methods beside themselves without their idea, and sparse codes over steps and size."""
