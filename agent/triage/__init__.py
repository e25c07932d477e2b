"""Finds the MLflow runs that need help, diagnoses them and writes down what it found."""
