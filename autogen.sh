#!/bin/sh
# Makes ./configure from configure.ac and Makefile.am.
set -eu
cd "$(dirname "$0")"
mkdir -p m4
exec autoreconf -fi
