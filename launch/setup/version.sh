#!/bin/bash
# Prints which state of the source this is: git's description of it; in a tarball the commit that `git archive` put into VERSION.
cd "$(dirname "$0")/../.." || exit
# Not the repository that a tarball was unpacked into.
if [ -e .git ] && version=$(git --no-optional-locks describe --tags --always --dirty 2>/dev/null); then
  echo "$version"
else
  # git archive writes the commit in the place of $Format...$
  sed 's|^[$]Format.*|unknown|' VERSION
fi
