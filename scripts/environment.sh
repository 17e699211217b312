# Sourced by the other scripts: sets PYTHON to an interpreter in which simsearch and the wanted extra are installed.
# The active virtual environment is used; without one, .venv in the checkout, made on first use.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: no Python 3.11 or later with venv was found; install one (on Debian and Ubuntu also python3-venv)" >&2
    return 3
}

# have EXTRA: makes the environment and installs simsearch[EXTRA], unless that is done and pyproject.toml is unchanged.
have() {
    local extra="$1" folder="${VIRTUAL_ENV:-$ROOT/.venv}" base stamp wanted
    PYTHON="$folder/bin/python"
    if ! "$PYTHON" -c 'import pip' 2>/dev/null; then
        if [ -n "${VIRTUAL_ENV:-}" ]; then
            echo "error: the active environment $VIRTUAL_ENV has no pip; deactivate it and run this again" >&2
            return 3
        fi
        base="$(find_python)"
        echo "Making $folder with $("$base" --version) ..." >&2
        "$base" -m venv --clear "$folder"
    fi
    stamp="$folder/.simsearch-$extra"
    wanted="$ROOT $(cksum < "$ROOT/pyproject.toml")"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing simsearch[$extra] into $folder; torch is large, so the first time takes some minutes ..." >&2
        "$PYTHON" -m pip install -q --disable-pip-version-check -e "$ROOT[$extra]"
        printf '%s\n' "$wanted" > "$stamp"
    fi
}
