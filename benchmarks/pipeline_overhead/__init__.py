"""What keeping order among thousands of videos costs beside the work on them."""
