"""Network code, one module a family; a model card names the family and its arguments."""
