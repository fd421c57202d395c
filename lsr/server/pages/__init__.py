"""Pages of HTML: self-contained, without scripts, everything from outside escaped."""
