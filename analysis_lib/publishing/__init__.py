"""Sentences, pages, downloads and the site, from protected results only."""
