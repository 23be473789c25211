#!/usr/bin/env bash
# Make sure of Slurm and munge: use them, install them where that needs no password, or say what to run.
set -euo pipefail
PATH="$PATH:/usr/sbin"

is_missing() {
  for program in munged slurmctld slurmd sbatch srun; do
    command -v "$program" > /dev/null || return 0
  done
  return 1
}
install_with() { echo "installing Slurm: $*" >&2; "$@" > /dev/null; }

is_missing || exit 0
packages="slurm-wlm munge"
remedy="install slurmctld, slurmd, the Slurm client programs and munge"
if command -v apt-get > /dev/null; then
  # A daemon of the packages must not start: the demo brings its own configuration.
  if [ "$(id -u)" = 0 ]; then
    install_with apt-get update -qq && install_with env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq $packages || true
  elif sudo -n true 2> /dev/null; then
    install_with sudo -n apt-get update -qq && install_with sudo -n env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq $packages || true
  fi
  remedy="sudo apt-get install $packages"
fi
is_missing || exit 0
echo "error: Slurm is not installed and could not be installed here. Run: $remedy" >&2
exit 2
