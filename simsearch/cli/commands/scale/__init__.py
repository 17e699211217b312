"""Commands about many machines and very many images."""
