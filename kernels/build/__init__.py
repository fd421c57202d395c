"""Building a segment's arrays: quantisation, document order, block maxima, posting layout."""
