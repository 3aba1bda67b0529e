"""A study in, words, tables and the HTML page out."""
