"""Plain statistics: nothing here knows what a cascade is."""
