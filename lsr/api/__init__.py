"""The public Python interface: indexes made, opened, searched, changed and evaluated."""
