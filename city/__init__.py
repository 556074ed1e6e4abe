"""City: what crosses the trades, over parking and the money."""
