"""Arrays in files of NumPy (.npz)."""
