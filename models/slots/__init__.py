"""Values that a text gives, such as an order number or a date."""
