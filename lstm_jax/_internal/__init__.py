"""What is not public: checks and errors, names with options as text, dtypes, devices."""
