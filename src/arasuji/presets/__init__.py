"""The presets: one TOML each."""
