"""The pages a person reads, each one file that needs no network: jinja2 and matplotlib live here and nowhere else."""
