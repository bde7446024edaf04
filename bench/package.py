"""What is deployed: the size of Lambda's package by its parts, and the cold start of the webhook's function from it.

    python -m bench.package

The package is the one that `chalice deploy` makes, for Lambda's own processor, with nothing of this machine's; pip
needs a network for it. Then fresh processes import the app from the package alone and build what the webhook's function
builds at start. No figure is asserted but Lambda's own limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from statistics import median

from bench.tables import ratio, show

ROOT = Path(__file__).parent.parent
STAGE = "dev"
UNZIPPED_MAX = 250 * 1024**2
"""What Lambda takes, in bytes."""
PROCESSES = 7
TOP = 12
MEGABYTE = 1024**2
_ANY_REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}
"""Nothing is sent there, but botocore requires a region."""

COLD = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
import app
print(json.dumps([(time.perf_counter() - wall) * 1_000, (time.process_time() - cpu) * 1_000, len(sys.modules)]))
"""


def main() -> None:
    """Make the package, and print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        file = packaged(Path(folder))
        sizes = unzipped(file)
        total = sum(sizes.values())
        rows = [("all of it", total), *sizes.most_common(TOP)]
        zipped = file.stat().st_size / MEGABYTE
        show(
            f"The package: {zipped:.1f} MB zipped; unzipped {total / UNZIPPED_MAX:.0%} of what Lambda takes",
            ["unzipped", "MB", "share"],
            [[name, f"{size / MEGABYTE:.2f}", f"{size / total:.1%}"] for name, size in rows],
        )
        assert total <= UNZIPPED_MAX, "Lambda would refuse it"
        with zipfile.ZipFile(file) as archive:
            archive.extractall(Path(folder) / "package")
        wall, cpu, modules = (median(figures) for figures in zip(*cold_starts(Path(folder) / "package"), strict=True))
        show(
            f"The webhook's cold start from the package alone, median of {PROCESSES} processes",
            [f"import and build, {modules:.0f} modules", "ms", "ratio"],
            [["on the clock", f"{wall:.0f}", ratio(wall, cpu)], ["of the processor", f"{cpu:.0f}", ratio(cpu, cpu)]],
        )


def packaged(folder: Path) -> Path:
    """The package, made by Chalice."""
    command = [sys.executable, "-m", "infrastructure", "package", "--stage", STAGE, str(folder)]
    environment = os.environ | _ANY_REGION
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"packaging failed:\n{done.stderr}")
    return folder / "deployment.zip"


def unzipped(file: Path) -> Counter[str]:
    """The bytes of the package by its top-level folder or file; the metadata of all distributions is counted as one."""
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(file) as archive:
        for one in archive.infolist():
            top = one.filename.partition("/")[0]
            sizes["*.dist-info" if top.endswith(".dist-info") else top] += one.file_size
    return sizes


def cold_starts(package: Path) -> list[list[float]]:
    """Milliseconds on the clock and of the processor, and modules, of some starts; the first warms the disk's cache."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    environment = config["stages"][STAGE]["environment_variables"] | {
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        **_ANY_REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "_HANDLER": "app.app",
    }
    # Neither this machine's packages nor the project's folder are on the path.
    program = f"import sys; sys.path.insert(0, {str(package)!r})\n{COLD}"
    command = [sys.executable, "-I", "-S", "-c", program]
    told = [subprocess.run(command, env=environment, capture_output=True, check=True) for _ in range(PROCESSES + 1)]
    return [json.loads(one.stdout.splitlines()[-1]) for one in told[1:]]


if __name__ == "__main__":
    main()
