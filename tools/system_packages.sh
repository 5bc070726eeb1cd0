#!/bin/sh
# Finds out which Debian packages the project still needs (compilers and emulators), and as root
# installs them. Anyone else gets one line with the command to run, and exit code 1.
#
# Programs are looked for, not packages: a compiler from elsewhere is as good.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
python=${1:-python3}
missing=""

need() { # need PACKAGE COMMAND...: the package is missing if the command fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

program() { command -v "$1"; }

# GCC answers with the bare name if it does not have the file.
has_file() { case $("$1" -print-file-name="$2") in /*) ;; *) return 1 ;; esac; }

compiles() { echo '#include <stdio.h>' | gcc -E -; }

need gcc program gcc
need libc6-dev compiles
need clang program clang
need g++ program g++
need cmake program cmake
need make program make
need "${python##*/}-venv" "$python" -c 'import ensurepip, venv'
need gcc-arm-none-eabi program arm-none-eabi-gcc
need libnewlib-arm-none-eabi has_file arm-none-eabi-gcc nano.specs
need gcc-riscv64-unknown-elf program riscv64-unknown-elf-gcc
need picolibc-riscv64-unknown-elf has_file riscv64-unknown-elf-gcc picolibc.specs
need qemu-system-arm program qemu-system-arm
# Newer releases have a package of its own for this emulator.
riscv=qemu-system-misc
if apt-cache show qemu-system-riscv >/dev/null 2>&1; then riscv=qemu-system-riscv; fi
need $riscv program qemu-system-riscv32

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! program apt-get >/dev/null; then
    echo "make setup: missing$missing; on Debian or Ubuntu run: sudo apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
if [ -z "${TINSMITH_APT_UPDATED:-}" ]; then
    # Which package has what may only be known after this.
    apt-get -qq update
    export TINSMITH_APT_UPDATED=yes
    exec "$0" "$python"
fi
echo "Installing$missing"
# shellcheck disable=SC2086 # a list of words
apt-get -qq install --no-install-recommends $missing >/dev/null
