"""What happens in the process of a trial, around the user's script."""
