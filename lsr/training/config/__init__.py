"""A training's configuration: TOML to checked values, and from those to objects."""
