"""Export formats, one module each: a drop's files → tables of texts under our names."""
