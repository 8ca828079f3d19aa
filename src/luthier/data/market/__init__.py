"""News and prices: joined without look-ahead, and made into forecasts."""
