# Sourced by the other scripts: makes .venv hold exactly what a lock file says.
# Needs python3 (3.11 to 3.13, with venv) or uv, and the network the first time.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export UV_LINK_MODE=${UV_LINK_MODE:-copy} UV_NO_PROGRESS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Where the machine has certificates of its own, a company's may be among them.
if [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ]; then
  export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
fi

say() { printf '%s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
      2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

# Prints the path of a uv: the machine's, or one out of requirements/uv.lock in .uv.
find_uv() {
  if command -v uv >/dev/null; then
    command -v uv
    return
  fi
  local stamp=.uv/stamp
  if ! cmp -s requirements/uv.lock "$stamp"; then
    local python
    if ! python=$(find_python); then
      say "setup_error: no uv and no python3 between 3.11 and 3.13 with its venv module;"
      say "install one of them (on Debian: apt-get install python3-venv)"
      return 1
    fi
    rm -rf .uv
    "$python" -m venv .uv >&2 &&
      .uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.lock >&2 &&
      cp requirements/uv.lock "$stamp" || return 1
  fi
  printf '%s' "$PWD/.uv/bin/uv"
}

# use_environment NAME: .venv as requirements/NAME.lock says. An environment for development
# holds all that the others do and is left as it is.
use_environment() {
  local name=$1 held lock uv python
  for held in "$name" dev; do
    lock=requirements/$held.lock
    if cmp -s <(cat "$lock" pyproject.toml) ".venv/$held.stamp" && [ -x .venv/bin/tagger ]; then
      return
    fi
  done
  lock=requirements/$name.lock
  uv=$(find_uv) || exit 1
  say "Installing requirements/$name.lock into .venv ..."
  rm -rf .venv
  python=$(find_python) || python='>=3.11,<3.14'
  "$uv" venv --quiet --python "$python" .venv &&
    # Compiled at once: TensorFlow alone takes 10 s longer to import without.
    "$uv" pip sync --quiet --python .venv/bin/python --require-hashes --compile-bytecode "$lock" &&
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
      --editable . &&
    cat "$lock" pyproject.toml >".venv/$name.stamp" || {
    say "setup_error: the installation failed; is the package index reachable?"
    exit 1
  }
}

# Chromium for the tests that need a browser, where this is root on a Debian; others skip them.
install_browser() {
  if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    return
  fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    return
  fi
  say "Installing chromium and chromium-driver for the browser tests ..."
  # Bounded: where there is no network, it would try each of its servers for minutes.
  timeout 300 bash -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends chromium chromium-driver' \
    </dev/null >/dev/null 2>&1 ||
    say "They cannot be had; the browser tests will be skipped."
}
