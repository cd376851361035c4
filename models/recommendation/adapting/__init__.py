"""How the embeddings of items are adapted to what users touch: a linear map, and the release that carries it."""
