"""What will run: a spec and the facts about the machine become a plan, plain data."""
