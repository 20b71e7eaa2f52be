"""Whether and how a network fits a chip: its numbers, its cores, its places on the mesh."""
