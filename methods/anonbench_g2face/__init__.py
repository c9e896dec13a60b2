"""G²Face: reversible face anonymization with a generative and a geometric prior (Yang 2024)."""
