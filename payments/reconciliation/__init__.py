"""What the lines of statements are explained by: credits, refunds, and what people say."""
