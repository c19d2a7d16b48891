"""What will run: plans, which are plain data made from a spec and the facts about the machine."""
