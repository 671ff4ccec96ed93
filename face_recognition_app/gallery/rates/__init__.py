"""Error rates of a gallery, measured on templates of which it is known whose they are."""
