"""Run by PlatformIO before a build: compiles models/digits and adds it, with a program around it, to the build.

Needs the `tinsmith` command, from .venv (`make setup`) or the search path.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
project = Path(env["PROJECT_DIR"])
generated = Path(env.subst("$BUILD_DIR"), "digits")
command = shutil.which("tinsmith", path=project / ".venv" / "bin") or shutil.which("tinsmith")
if command is None:
    raise SystemExit("there is no tinsmith command; `make setup` installs it")
subprocess.run([command, "compile", project / "models/digits/digits.tflite", "--out", generated], check=True)
env.Append(CPPPATH=[str(generated)])
env.BuildSources("$BUILD_DIR/model", str(generated))
env.BuildSources("$BUILD_DIR/app", str(project / "tests" / "fixtures" / "consumer"))
