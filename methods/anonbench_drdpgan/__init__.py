"""DR-DPGAN: reversible face anonymization by a dual prior GAN (Lin, Wang and Zheng 2025)."""
