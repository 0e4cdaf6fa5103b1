#!/bin/sh
# What git says of the checkout, for Bazel's stable status; nothing where there is no git. core/release/version.py reads it.
git() { command git -c safe.directory='*' -c core.fsmonitor=false "$@" 2> /dev/null; }
described=$(git describe --tags --match 'v[0-9]*' --long --always --dirty) || exit 0
# git describe does not look at new files.
case $described in *-dirty) ;; *) [ -z "$(git status --porcelain)" ] || described=$described-dirty ;; esac
echo "STABLE_GIT_DESCRIBE $described"
