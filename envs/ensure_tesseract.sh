#!/usr/bin/env bash
# Make sure of Tesseract: use it, install it where that needs no password, or say what to run.
set -euo pipefail
command -v tesseract > /dev/null && exit 0

install_with() { echo "installing tesseract: $*" >&2; "$@" > /dev/null; }

if command -v apt-get > /dev/null; then
  if [ "$(id -u)" = 0 ]; then
    install_with apt-get update -qq && install_with env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq tesseract-ocr || true
  elif sudo -n true 2> /dev/null; then
    install_with sudo -n apt-get update -qq && install_with sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq tesseract-ocr || true
  fi
  remedy="sudo apt-get install tesseract-ocr"
elif command -v dnf > /dev/null; then
  [ "$(id -u)" = 0 ] && install_with dnf install -y -q tesseract || true
  remedy="sudo dnf install tesseract"
elif command -v brew > /dev/null; then
  install_with brew install --quiet tesseract || true
  remedy="brew install tesseract"
else
  remedy="conda install -c conda-forge tesseract"
fi
command -v tesseract > /dev/null && exit 0
echo "error: Tesseract is not installed and could not be installed here. Run: $remedy" >&2
exit 2
