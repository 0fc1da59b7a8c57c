"""All that the stages wrote -> one page."""
