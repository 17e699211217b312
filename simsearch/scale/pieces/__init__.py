"""One index over more rows than fit into memory: trained once, built in pieces, merged on the disk."""
