"""`make bench`: this package's dynamic provider host beside the stock one, on the real engine and the emulator."""
