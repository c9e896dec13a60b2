"""CIAGAN: faces drawn anew from landmarks and background under a chosen identity (Maximov 2020)."""
