"""Training: contrastive learning of the row that is searched, and export to a model folder."""
