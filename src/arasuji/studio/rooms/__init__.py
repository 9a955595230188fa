"""The rooms of the page: the routes of each, and what it alone needs."""
