"""Write the ready scripts of this directory anew: python jobs/generate.py."""

from pathlib import Path

from deephpo.schedulers.ready import READY, ready_script

for name in READY:
    script = Path(__file__).with_name(name)
    script.write_text(ready_script(name), encoding="utf-8")
    script.chmod(0o755)
