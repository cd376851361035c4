"""From items to stories: which items tell the same news, and how new an item is."""
