"""REST: parameters, answers, and the routes of searches, documents and the server's state."""
