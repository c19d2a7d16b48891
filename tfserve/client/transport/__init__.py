"""HTTP for the REST client: sessions, replies, deadlines and polling."""
