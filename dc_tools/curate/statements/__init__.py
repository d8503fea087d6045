"""What can be read in a statement: pictures, dialogues, allowed errors, several answers, bounds."""
